import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from './eventually.ts'
import { freezeProcess } from './freeze-process.ts'

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * A real redis-server with nothing in it, in a directory of its own. It can be killed, and started
 * again at the same place as empty as it was at first.
 */
export class RedisServer {
  readonly port: number
  readonly #directory: string
  #process: ChildProcess | undefined

  private constructor(directory: string, port: number) {
    this.#directory = directory
    this.port = port
  }

  static async start(): Promise<RedisServer> {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-redis-'))
    const server = new RedisServer(directory, await freePort())
    await server.restart()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** The same by its socket file, which nobody else can ever have. */
  get unixUrl(): string {
    return `unix://${this.#socketFile}`
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get #socketFile(): string {
    return join(this.#directory, 'redis.sock')
  }

  /** As `kill -9` leaves it: gone, with all that it kept. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Starts it, with nothing in it. */
  async restart(): Promise<void> {
    await this.kill()
    rmSync(this.#socketFile, { force: true })
    const port = ['--port', String(this.port), '--bind', '127.0.0.1', '--unixsocket']
    const memory = ['--save', '', '--appendonly', 'no', '--dir', this.#directory]
    const child = spawn('redis-server', [...port, this.#socketFile, ...memory], { stdio: 'ignore' })
    this.#process = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    let isReady = false
    while (!isReady) {
      if (child.exitCode !== null) throw new Error(`redis-server ended (${child.exitCode})`)
      isReady = await this.ask('PING').then(
        (answer) => answer.startsWith('+PONG'),
        () => false,
      )
    }
  }

  /** Stops the process where it stands, or lets it go on: it answers nobody meanwhile. */
  async freeze(isFrozen: boolean): Promise<void> {
    if (this.#process !== undefined) await freezeProcess(this.#process, isFrozen)
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** One command; the answer as it stands on the wire, such as `:1\r\n`. */
  async ask(...words: readonly (string | Uint8Array)[]): Promise<string> {
    const socket = await this.#connect()
    let answer = ''
    try {
      socket.write(encode(words))
      for await (const chunk of socket) {
        answer += (chunk as Buffer).toString('latin1')
        if (isWhole(answer)) break
      }
    } finally {
      socket.destroy()
    }
    return answer
  }

  /** Everything that is said to it from now on, as MONITOR prints it. */
  async watch(): Promise<{ readonly said: () => Buffer; readonly end: () => void }> {
    const socket = await this.#connect()
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => socket.destroy())
    socket.write(encode(['MONITOR']))
    await eventually(() => chunks.length > 0)
    return { said: () => Buffer.concat(chunks), end: () => void socket.destroy() }
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#socketFile, () => resolve(socket))
      socket.once('error', reject)
    })
  }
}

const encode = (words: readonly (string | Uint8Array)[]): Buffer =>
  Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => {
      const bytes = Buffer.from(word)
      return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]
    }),
  ])

/** Of answers in one line, and of one string: more is not asked for. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n')
  if (end < 0) return false
  const size = answer.startsWith('$') ? Number(answer.slice(1, end)) : -1
  return size < 0 || answer.length >= end + 2 + size + 2
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
