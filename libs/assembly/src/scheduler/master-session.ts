import { parseTokenKey, signToken } from '@conclave/crypto'
import { ConclaveError, type Clock, type RedactedBytes } from '@conclave/kernel'
import type { HttpClient, HttpResponse, HttpStream } from '@conclave/runtime'
import { z } from 'zod'

/** Where the faces of one master are, as URLs. */
export const MasterUrls = z.object({
  masterId: z.string(),
  conclave: z.url(),
  dcos: z.url(),
  mesos: z.url(),
})
export type MasterUrls = Readonly<z.infer<typeof MasterUrls>>

/** A service account: who it is, and the key that proves it (PKCS #8 as PEM). */
export interface ServiceAccount {
  readonly uid: string
  readonly privateKey: RedactedBytes
}

/** The masters would not have this account. It exists in another cluster, or its key is another. */
export class LoginRefused extends ConclaveError {
  readonly code = 'login.refused'

  constructor(uid: string, status: number) {
    super(`the master refused the login of ${uid} (${status}); is its key that of this cluster?`)
  }
}

interface Call {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal?: AbortSignal
}

const Token = z.object({ token: z.string() })

/** How long a login token counts: dcos.md §1. */
const loginTokenSeconds = 300

/** Talks to masters as one service account, and logs in whenever it must. */
export class MasterSession {
  readonly #http: HttpClient
  readonly #account: ServiceAccount
  readonly #clock: Clock
  #token: string | undefined

  constructor(http: HttpClient, account: ServiceAccount, clock: Clock) {
    this.#http = http
    this.#account = account
    this.#clock = clock
  }

  /** @throws HttpFailed, LoginRefused */
  async request(master: MasterUrls, call: Call): Promise<HttpResponse> {
    const answer = await this.#http.request(await this.#signed(master, call))
    if (answer.status !== 401) return answer
    this.#token = undefined
    return this.#http.request(await this.#signed(master, call))
  }

  /** @throws HttpFailed, LoginRefused */
  async stream(master: MasterUrls, call: Call): Promise<HttpStream> {
    const answer = await this.#http.stream(await this.#signed(master, call))
    if (answer.status !== 401) return answer
    answer.close()
    this.#token = undefined
    return this.#http.stream(await this.#signed(master, call))
  }

  async #signed(master: MasterUrls, call: Call): Promise<Call> {
    this.#token ??= await this.#login(master)
    return { ...call, headers: { ...call.headers, authorization: `token=${this.#token}` } }
  }

  async #login({ dcos }: MasterUrls): Promise<string> {
    const { uid, privateKey } = this.#account
    const exp = Math.floor(this.#clock.nowMs() / 1000) + loginTokenSeconds
    const answer = await this.#http.request({
      method: 'POST',
      url: new URL('/acs/api/v1/auth/login', dcos),
      body: { uid, token: await signToken(parseTokenKey(privateKey), { uid, exp }) },
    })
    if (answer.status !== 200) throw new LoginRefused(uid, answer.status)
    return Token.parse(JSON.parse(Buffer.from(answer.body).toString('utf8'))).token
  }
}
