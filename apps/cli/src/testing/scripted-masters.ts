import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileCache } from '../compile-cache.ts'
import type { Context } from '../context.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer | object
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port

function at(masterId: string, port: number): Context['masters'][number] {
  const url = `http://127.0.0.1:${port}`
  return { masterId, conclave: url, dcos: url, mesos: url }
}

function send(response: ServerResponse, found: Answer | (() => Answer) | undefined): void {
  const answer = typeof found === 'function' ? found() : found
  const {
    status = 200,
    headers = {},
    body = '',
  } = answer ?? {
    status: 404,
    body: { error: { code: 'none', message: 'no such route' } },
  }
  const isText = typeof body === 'string' || Buffer.isBuffer(body)
  response.writeHead(status, {
    ...(isText ? {} : { 'content-type': 'application/json' }),
    ...headers,
  })
  response.end(isText ? body : JSON.stringify(body))
}

const main = fileURLToPath(new URL('../main.ts', import.meta.url))

const login = 'POST /acs/api/v1/auth/login'

/** A master with all faces on one port that answers as a test says, and the command line to ask it. */
export class ScriptedCluster {
  readonly asked: Asked[] = []
  readonly #routes = new Map<string, Answer | (() => Answer)>()
  readonly #server: Server
  /** Another master, which answers whatever it is asked with the route `follower`. */
  readonly #follower: Server
  readonly #directory = mkdtempSync(join(tmpdir(), 'conclave-cli-'))
  /** How many of those that only follow are in the context, before the leader: none or one. */
  followers = 0
  port = 0
  /** Masters that are in the context and not there, before the one that is. */
  deadMasters = 0

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response)
    })
    this.#follower = createServer((request, response) => {
      const asked = `${request.method} ${request.url}`
      const own = this.#routes.get(`follower ${asked}`) ?? this.#routes.get('follower')
      const answer = asked === login ? this.#routes.get(login) : own
      request.resume().once('end', () => send(response, answer))
    })
  }

  static async start(): Promise<ScriptedCluster> {
    const cluster = new ScriptedCluster()
    for (const server of [cluster.#server, cluster.#follower]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    cluster.port = portOf(cluster.#server)
    cluster.on(login, { body: { token: 'a.b.c' } })
    return cluster
  }

  /** The answer to a route, or how it is found each time. */
  on(route: string, answer: Answer | (() => Answer)): void {
    this.#routes.set(route, answer)
  }

  /** Nobody listens there any more. */
  leave(): void {
    for (const server of [this.#server, this.#follower]) {
      server.closeAllConnections()
      server.close()
    }
  }

  stop(): void {
    this.leave()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** What was asked beside the login. */
  requests(): string[] {
    return this.asked
      .filter(({ path }) => !path.endsWith('/auth/login'))
      .map(({ method, path }) => `${method} ${path}`)
  }

  /** Runs `conclave` as a shell would. */
  async conclave(
    argv: readonly string[],
    input: string | Buffer = '',
    onStarted: (child: ChildProcess) => void = () => undefined,
  ): Promise<{ code: number | null; stdout: string; stderr: string; bytes: Buffer }> {
    const context = join(this.#directory, 'context.json')
    writeFileSync(context, JSON.stringify(this.#context()), { mode: 0o600 })
    const child = spawn(process.execPath, [main, ...argv], {
      env: {
        NODE_COMPILE_CACHE: compileCache,
        ...process.env,
        CONCLAVE_CONTEXT: context,
        NO_COLOR: '1',
        // Nx sets it for whoever it runs, and Node warns of both.
        FORCE_COLOR: undefined,
      },
      stdio: 'pipe',
    })
    onStarted(child)
    const [out, err]: Buffer[][] = [[], []]
    child.stdout.on('data', (chunk: Buffer) => out?.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err?.push(chunk))
    child.stdin.on('error', () => undefined).end(input)
    const [code] = (await once(child, 'close')) as [number | null]
    const bytes = Buffer.concat(out ?? [])
    return { code, bytes, stdout: bytes.toString(), stderr: Buffer.concat(err ?? []).toString() }
  }

  #context(): Context {
    // Port 1 is reserved, and nobody listens there.
    const dead = Array.from({ length: this.deadMasters }, (_, index) => at(`dead-${index}`, 1))
    const followers = this.followers === 0 ? [] : [at('master-2', portOf(this.#follower))]
    const masters = [...dead, ...followers, at('master-1', this.port)]
    return { clusterId: 'c', masters, uid: 'dev', password: 'the-password' }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url = '', headers } = request
    this.asked.push({ method, path: url, headers, body: Buffer.concat(chunks) })
    send(response, this.#routes.get(`${method} ${url}`))
  }
}
