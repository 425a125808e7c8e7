import type { Address, MasterStatus, Member } from '@conclave/actors'
import { HttpClient, HttpFailed, type HttpResponse, type HttpStream } from '@conclave/runtime'
import { readContext, refreshContext, type Context } from './context.ts'
import { CommandFailed, failureOf } from './failure.ts'

export type Face = 'conclave' | 'dcos' | 'mesos'

type MasterShown = Context['masters'][number]

interface Call {
  readonly face: Face
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  readonly signal?: AbortSignal
}

/** What clients of one context share: connections, and one login, which any master honours. */
class Shared {
  readonly http = new HttpClient()
  /** Being asked for, or known. Whoever finds it refused takes it away. */
  token: Promise<string> | undefined
}

/** Talks to whichever master answers, and logs in when it must. */
export class Client {
  #context: Context
  readonly #shared: Shared
  readonly #http: HttpClient
  #preferred = 0

  constructor(context: Context = readContext(), shared: Shared = new Shared()) {
    this.#context = context
    this.#shared = shared
    this.#http = shared.http
  }

  get context(): Context {
    return this.#context
  }

  /** The same client, for one master alone. */
  only(masterId: string): Client {
    const masters = this.#context.masters.filter((master) => master.masterId === masterId)
    return new Client({ ...this.#context, masters }, this.#shared)
  }

  /**
   * The same client, for the leader alone: for a body that comes in chunks, which cannot be sent again
   * to where a follower would send us. @throws CommandFailed when nobody leads
   */
  async leading(): Promise<Client> {
    const { leader, members } = await this.status()
    const isKnown = this.#context.masters.some(({ masterId }) => masterId === leader?.masterId)
    if (!isKnown) this.learn(members)
    if (leader !== undefined) return this.only(leader.masterId)
    throw new CommandFailed('unavailable', 'nobody leads just now, try again')
  }

  /** What the master that answers says of itself and its group. */
  status(): Promise<MasterStatus> {
    return this.json('conclave', 'GET', '/conclave/v1/masters')
  }

  /** The masters are others than when the context was written, says one of them: it is, from now on. */
  learn(members: readonly Member[]): void {
    const masters = members.flatMap(({ masterId, listeners }) => {
      const { conclave, dcos, mesos } = listeners
      if (conclave === undefined || dcos === undefined || mesos === undefined) return []
      return [{ masterId, conclave: urlOf(conclave), dcos: urlOf(dcos), mesos: urlOf(mesos) }]
    })
    if (masters.length === 0 || isSame(masters, this.#context.masters)) return
    this.#context = { ...this.#context, masters }
    this.#preferred = 0
    refreshContext(this.#context)
  }

  /** Lets go of the connections that are kept, so that the process may end. */
  close(): void {
    this.#http.close()
  }

  /** The JSON answer. @throws CommandFailed with the server's own words when it refuses */
  async json<T>(face: Face, method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.bytes({
      face,
      method,
      path,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(body)),
      }),
    })
    const text = Buffer.from(answer.body).toString('utf8')
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T
    } catch {
      throw new CommandFailed('failed', `${path} was not answered with JSON; is this a master?`)
    }
  }

  /** The answer, if what was asked was done. @throws CommandFailed */
  async bytes(call: Call): Promise<HttpResponse> {
    const answer = await this.try(call)
    if (answer.status < 300) return answer
    throw refused(answer.status, answer.body)
  }

  /** Any answer at all, refusals included. @throws CommandFailed when no master can be reached */
  async try(call: Call): Promise<HttpResponse> {
    return this.#anyMaster(call, async (master) => {
      const answer = await this.#http.request(await this.#signed(master, call))
      if (answer.status !== 401) return answer
      this.#shared.token = undefined
      return this.#http.request(await this.#signed(master, call))
    })
  }

  /** An open stream of chunks. @throws CommandFailed when it is refused */
  async stream(call: Call): Promise<HttpStream> {
    const answer = await this.#anyMaster(call, async (master) => {
      const opened = await this.#open(master, call)
      // A body that comes in chunks cannot be sent twice.
      if (opened.status !== 401 || isChunks(call.body)) return opened
      this.#shared.token = undefined
      return this.#open(master, call)
    })
    if ('close' in answer) return answer
    throw refused(answer.status, answer.body)
  }

  /** A stream, or the whole of a refusal. */
  async #open(master: MasterShown, call: Call): Promise<HttpStream | HttpResponse> {
    const stream = await this.#http.stream(await this.#signed(master, call))
    if (stream.status < 300) return stream
    const chunks: Uint8Array[] = []
    for await (const chunk of stream.body) chunks.push(chunk)
    return { status: stream.status, headers: stream.headers, body: Buffer.concat(chunks) }
  }

  async #signed(master: MasterShown, call: Call): Promise<Parameters<HttpClient['stream']>[0]> {
    const token = await this.#login(master)
    const { face, method, path, headers, body, signal } = call
    return {
      method,
      url: new URL(path, master[face]),
      headers: { ...headers, authorization: `token=${token}` },
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    }
  }

  /** One login at a time, and one for all: a password is slow to check on purpose. */
  async #login(master: MasterShown): Promise<string> {
    const token = (this.#shared.token ??= this.#askForToken(master))
    try {
      return await token
    } catch (error) {
      if (this.#shared.token === token) this.#shared.token = undefined
      throw error
    }
  }

  async #askForToken(master: MasterShown): Promise<string> {
    const { uid, password } = this.#context
    const answer = await this.#http.request({
      method: 'POST',
      url: new URL('/acs/api/v1/auth/login', master.dcos),
      body: { uid, password },
    })
    // Not now is something else than not at all.
    if (failureOf(answer.status) === 'unavailable') throw refused(answer.status, answer.body)
    if (answer.status !== 200) {
      throw new CommandFailed(
        'denied',
        `login as ${uid} was refused: the context may be that of another cluster; start one with: npm start`,
      )
    }
    const { token } = JSON.parse(Buffer.from(answer.body).toString('utf8')) as { token: string }
    return token
  }

  /** Starts with the master that answered last; goes round while nobody listens there. */
  async #anyMaster<T extends HttpResponse | HttpStream>(
    call: Call,
    attempt: (master: MasterShown) => Promise<T>,
  ): Promise<T> {
    const { masters } = this.#context
    let last: unknown
    let refusal: T | undefined
    for (let turn = 0; turn < masters.length; turn++) {
      const at = (this.#preferred + turn) % masters.length
      const master = masters[at]
      if (master === undefined) continue
      try {
        const first = await attempt(master)
        const answer = await this.#atLeader(first, { from: master, call, attempt })
        if (isOfFollower(answer)) {
          refusal = answer
          continue
        }
        this.#preferred = at
        return answer
      } catch (error) {
        if (!mayTryNext(error, call)) throw error
        last = error
      }
    }
    if (refusal !== undefined) return refusal
    if (last instanceof CommandFailed) throw last
    throw new CommandFailed(
      'unavailable',
      `no master answers at ${masters.map(({ conclave }) => conclave).join(', ')}. Is the cluster up? Start one with: npm start`,
      { cause: last },
    )
  }

  /** Some things only the leader does, and a follower says where it is. Our token goes to no other place. */
  async #atLeader<T extends HttpResponse | HttpStream>(
    answer: T,
    { from, call, attempt }: Redirected<T>,
  ): Promise<T> {
    let last = answer
    let at = from
    // A leader that has just handed leadership on sends us on, too.
    for (let hops = 0; hops < hopsMax && last.status === 307; hops++) {
      const { face } = call
      const { host } = new URL(last.headers.location ?? '', at[face])
      const leader = await this.#masterAt(host, face, at)
      if (leader === undefined) return last
      at = leader
      last = await attempt(leader)
    }
    return last
  }

  /** A master that joined after the context was written is known to the one that sends us there. */
  async #masterAt(host: string, face: Face, from: MasterShown): Promise<MasterShown | undefined> {
    const find = (): MasterShown | undefined =>
      this.#context.masters.find((master) => new URL(master[face]).host === host)
    const known = find()
    if (known !== undefined) return known
    const status = await this.only(from.masterId)
      .status()
      .catch(() => undefined)
    if (status?.clusterId === this.#context.clusterId) this.learn(status.members)
    return find()
  }
}

const hopsMax = 3

const urlOf = ({ host, port }: Address): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`

const isSame = (a: readonly MasterShown[], b: readonly MasterShown[]): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

interface Redirected<T> {
  readonly from: MasterShown
  readonly call: Call
  readonly attempt: (master: MasterShown) => Promise<T>
}

/**
 * Whether another master may be asked the same. Not when the first may have done it already: a run
 * that is submitted twice runs twice.
 */
function mayTryNext(error: unknown, { method, signal }: Call): boolean {
  if (signal?.aborted === true) return false
  if (error instanceof CommandFailed) return error.failure === 'unavailable'
  if (!(error instanceof HttpFailed)) return false
  const neverArrived = (error.cause as { code?: string } | undefined)?.code === 'ECONNREFUSED'
  return neverArrived || method !== 'POST'
}

const isChunks = (body: Call['body']): boolean =>
  body !== undefined && !(body instanceof Uint8Array)

/** Only the leader does what was asked: nothing was done, so another master may be asked the same. */
const isOfFollower = (answer: HttpResponse | HttpStream): boolean =>
  answer.status === 503 && !('close' in answer) && readRefusal(answer.body).code === notLeader

const notLeader = 'cluster.not-leader'

/** The words of a refusal, whichever face they come from. */
function refused(status: number, body: Uint8Array): CommandFailed {
  if (status < 400) {
    return new CommandFailed(
      'unavailable',
      'the leader is at a place that the context does not know; is it that of another cluster?',
    )
  }
  const { code, message = `the master answered ${status}` } = readRefusal(body)
  const advice = code === notLeader ? ': nobody leads just now, try again' : ''
  return new CommandFailed(failureOf(status), `${message}${advice}`)
}

function readRefusal(body: Uint8Array): {
  code?: string | undefined
  message?: string | undefined
} {
  const text = Buffer.from(body).toString('utf8')
  try {
    const { error, description } = JSON.parse(text) as {
      error?: { code?: unknown; message?: unknown }
      description?: unknown
    }
    return { code: textIn(error?.code), message: textIn(error?.message ?? description) }
  } catch {
    return { message: text.length > 0 && text.length < 500 ? text : undefined }
  }
}

const textIn = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined
