import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseTokenPublicKey, verifyToken } from '@conclave/crypto'
import { utf8 } from '@conclave/kernel'
import { encodeRecord, encodeSse } from '@conclave/runtime'
import type { MasterUrls } from '../scheduler/master-session.ts'

interface CallSeen {
  readonly type: string
  readonly streamId: string | undefined
  readonly [part: string]: unknown
}

/** A master as a scheduler sees it, all faces on one port, that does what a test tells it. */
export class ScriptedMaster {
  readonly masterId: string
  readonly calls: CallSeen[] = []
  /** Where a SUBSCRIBE is sent instead, or what it is refused with. */
  redirectTo: string | undefined
  refuseWith: number | undefined
  frameworkId = 'framework-1'
  /** Who it says the masters are. */
  members: readonly ScriptedMaster[] = []
  readonly #publicKeyPem: string
  readonly #server: Server
  readonly #pending = new Set<ServerResponse>()
  #events: ServerResponse | undefined
  #streams = 0
  #port = 0
  #lastPending = '{"launch":[],"kill":[]}'

  private constructor(masterId: string, publicKeyPem: string) {
    this.masterId = masterId
    this.#publicKeyPem = publicKeyPem
    this.#server = createServer((request, response) => {
      void this.#answer(request, response)
    })
  }

  static async start(masterId: string, publicKeyPem: string): Promise<ScriptedMaster> {
    const master = new ScriptedMaster(masterId, publicKeyPem)
    master.#server.listen(0, '127.0.0.1')
    await once(master.#server, 'listening')
    master.#port = (master.#server.address() as AddressInfo).port
    return master
  }

  get urls(): MasterUrls {
    const url = `http://127.0.0.1:${this.#port}`
    return { masterId: this.masterId, conclave: url, dcos: url, mesos: url }
  }

  get #seen(): object {
    const at = { host: '127.0.0.1', port: this.#port }
    return { masterId: this.masterId, listeners: { conclave: at, dcos: at, mesos: at, peers: at } }
  }

  typesOfCalls(): string[] {
    return this.calls.map(({ type }) => type)
  }

  send(event: object): void {
    this.#events?.write(encodeRecord(utf8(JSON.stringify(event))))
  }

  tellPending(pending: object): void {
    this.#lastPending = JSON.stringify(pending)
    for (const open of this.#pending) open.write(encodeSse({ data: this.#lastPending }))
  }

  breakStream(): void {
    this.#events?.destroy()
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    if (request.url === '/acs/api/v1/auth/login') return this.#login(body, response)
    if (request.headers.authorization !== 'token=good') return void response.writeHead(401).end()
    if (request.url === '/conclave/v1/pending') return this.#openPending(response)
    if (request.url === '/conclave/v1/masters') {
      return void response.end(JSON.stringify({ members: this.members.map((one) => one.#seen) }))
    }
    const call = JSON.parse(body) as CallSeen
    this.calls.push({ ...call, streamId: request.headers['mesos-stream-id'] as string | undefined })
    if (call.type === 'SUBSCRIBE') return this.#subscribe(response)
    response.writeHead(202).end()
  }

  async #login(body: string, response: ServerResponse): Promise<void> {
    const { uid, token } = JSON.parse(body) as { uid: string; token: string }
    const key = parseTokenPublicKey(utf8(this.#publicKeyPem))
    const claims = await verifyToken(token, [key], Date.now()).catch(() => undefined)
    const isGood = claims?.uid === uid
    response.writeHead(isGood ? 200 : 401).end(isGood ? '{"token":"good"}' : '')
  }

  #subscribe(response: ServerResponse): void {
    if (this.redirectTo !== undefined) {
      const location = `${this.redirectTo.replace('http:', '')}/api/v1/scheduler`
      response.writeHead(307, { location }).end()
      return
    }
    if (this.refuseWith !== undefined) return void response.writeHead(this.refuseWith).end()
    this.#events = response
    response.writeHead(200, { 'mesos-stream-id': `stream-${++this.#streams}` })
    this.send({
      type: 'SUBSCRIBED',
      subscribed: { framework_id: { value: this.frameworkId }, heartbeat_interval_seconds: 5 },
    })
  }

  #openPending(response: ServerResponse): void {
    this.#pending.add(response)
    response.on('close', () => this.#pending.delete(response))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(encodeSse({ data: this.#lastPending }))
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
