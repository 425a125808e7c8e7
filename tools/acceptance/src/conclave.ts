import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ConclaveEvent, EventType } from '@conclave/model'
import {
  eventsOf,
  HttpClient,
  linesOf,
  type HttpRequest,
  type HttpResponse,
  type HttpStream,
} from '@conclave/runtime'
import { Home } from './home.ts'
import { foundCluster, type Person } from './people.ts'
import {
  conclaveProgram,
  isAlive,
  Program,
  repository,
  runProgram,
  type Outcome,
} from './program.ts'
import { until } from './until.ts'

export interface Master {
  readonly masterId: string
  readonly pid: number
  readonly directory: string
  /** By face: `conclave`, `dcos`, `mesos`; and the links, `peers` and `agents`, as `tls://host:port`. */
  readonly listeners: Readonly<Record<string, string>>
}

interface MemberShown {
  readonly id: string
  readonly pid: number
  readonly directory: string
  /** Of an agent: `mesos`. */
  readonly listeners: Readonly<Record<string, string>>
}

/** What `conclave up --ready-file` writes. */
export interface Ready {
  readonly clusterId: string
  readonly directory: string
  readonly masters: readonly Master[]
  readonly agents: readonly MemberShown[]
  readonly schedulers: readonly MemberShown[]
  readonly credentials: { readonly uid: string; readonly password: string }
}

export interface ConclaveOptions {
  /** Where an earlier cluster has left its data; it is then the caller's to remove. */
  readonly home?: Home
  /** Who may log in beside the superuser. For a new cluster only. */
  readonly people?: readonly Person[]
}

/** Who asks: the cluster's superuser unless somebody else is named, and `nobody` without a token. */
export type Asking = Pick<Person, 'uid' | 'password'> | 'nobody'

/** A cluster of real processes, started by the command line, with a client that is logged in. */
export class Conclave {
  readonly ready: Ready
  readonly home: Home
  readonly #isHomeOurs: boolean
  readonly #program: Program
  readonly #http = new HttpClient({ timeoutMs: 60_000 })
  readonly #tokens = new Map<string, Promise<string>>()
  readonly #pids = new Map<string, number>()
  readonly #restarted = new Map<string, ChildProcess>()

  private constructor(ready: Ready, program: Program, home: Home, isHomeOurs: boolean) {
    this.ready = ready
    this.#program = program
    this.home = home
    this.#isHomeOurs = isHomeOurs
    for (const { masterId, pid } of ready.masters) this.#pids.set(masterId, pid)
    for (const { id, pid } of [...ready.agents, ...ready.schedulers]) this.#pids.set(id, pid)
  }

  /** @param args more flags for `conclave up`, such as `--agents 1` */
  static async start(
    args: readonly string[] = [],
    options: ConclaveOptions = {},
  ): Promise<Conclave> {
    const home = options.home ?? new Home()
    const readyFile = home.file('ready.json')
    const data = home.file('data')
    if (options.people !== undefined) await foundCluster(home, data, options.people)
    rmSync(readyFile, { force: true })
    const program = new Program(
      process.execPath,
      [conclaveProgram, 'up', '--processes', '--data', data, '--ready-file', readyFile, ...args],
      { env: home.environment },
    )
    await until(
      'conclave up is ready, or has ended',
      () => program.hasEnded || existsSync(readyFile),
    )
    if (program.hasEnded) {
      const { code, stderr } = await program.outcome()
      if (options.home === undefined) home.remove()
      throw new Error(`conclave up ended (${code}): ${stderr}`)
    }
    const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as Ready
    return new Conclave(ready, program, home, options.home === undefined)
  }

  /** Where the cluster keeps everything it has on disk. */
  get directory(): string {
    return this.ready.directory
  }

  /** Of every member as it was started last. */
  get pids(): readonly number[] {
    return [...this.#pids.values()]
  }

  pidOf(member: string): number {
    const pid = this.#pids.get(member)
    if (pid === undefined) throw new Error(`no member is called ${member}`)
    return pid
  }

  /** What `conclave up` complained of. */
  get complaints(): string {
    return this.#program.stderr
  }

  logOf(member: string): string {
    return readFileSync(this.#logFile(member), 'utf8')
  }

  /** `conclave <args>` as this cluster's user. */
  cli(args: readonly string[], input?: string | Uint8Array): Promise<Outcome> {
    return runProgram(process.execPath, [conclaveProgram, ...args], {
      env: this.home.environment,
      ...(input !== undefined && { input }),
    })
  }

  /** A request to one master's face, logged in as the superuser, as another, or not at all. */
  async ask(
    master: Master,
    face: string,
    path: string,
    wanted: Partial<HttpRequest> = {},
    asking: Asking = this.ready.credentials,
  ): Promise<HttpResponse> {
    return this.#http.request(await this.#signed(master, face, path, wanted, asking))
  }

  /** The same, when the answer has begun: for what never ends by itself. */
  async stream(
    master: Master,
    face: string,
    path: string,
    wanted: Partial<HttpRequest> = {},
    asking: Asking = this.ready.credentials,
  ): Promise<HttpStream> {
    return this.#http.stream(await this.#signed(master, face, path, wanted, asking))
  }

  /** Every event of one type, from what one master had to tell already to its end. */
  async hear<Type extends EventType>(
    master: Master,
    type: Type,
    heard: (event: Extract<ConclaveEvent, { type: Type }>) => void,
  ): Promise<void> {
    try {
      const { body } = await this.stream(master, 'conclave', '/events')
      for await (const { data } of eventsOf(body)) {
        const event = JSON.parse(data) as Extract<ConclaveEvent, { type: Type }>
        if (event.type === type) heard(event)
      }
    } catch {
      // The master has ended, or was killed.
    }
  }

  /** Stores a secret as its user does. */
  async put(path: string, value: string): Promise<void> {
    const { code, stderr } = await this.cli(['secret', 'put', path], value)
    if (code !== 0) throw new Error(`${path} was not stored: ${stderr}`)
  }

  token(of: Exclude<Asking, 'nobody'> = this.ready.credentials): Promise<string> {
    const token = this.#tokens.get(of.uid) ?? this.#login(of)
    this.#tokens.set(of.uid, token)
    return token
  }

  /** The master that leads, as it says itself; waits while nobody does. */
  leader(among: readonly Master[] = this.ready.masters): Promise<Master> {
    return until('a master leads and is ready', async () => {
      for (const master of among) {
        const status = await this.#statusOf(master)
        if (status?.role === 'leader' && status.isReady) return master
      }
      return undefined
    })
  }

  /** `kill -9`. Resolves once the process is gone. */
  async kill(...members: readonly string[]): Promise<void> {
    const pids = members.map((member) => this.pidOf(member))
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await until('killed members are gone', () => !pids.some(isAlive))
  }

  /** Starts a member that was killed by its own program, on what it left on its disk. */
  async restart(member: string): Promise<void> {
    const { child, ready } = this.#startMember(member)
    this.#restarted.set(member, child)
    this.#pids.set(member, child.pid ?? 0)
    await ready
  }

  /** Tries to start a member that must not start. @returns its exit code and what it said */
  async startInVain(
    member: string,
    flags: readonly string[] = [],
  ): Promise<{ code: number | null; said: string }> {
    const before = this.logOf(member).length
    const { child, ready } = this.#startMember(member, flags)
    const ended = once(child, 'exit').then(([code]) => code as number | null)
    const isUp = await ready.then(
      () => true,
      () => false,
    )
    if (isUp) child.kill('SIGKILL')
    const code = await ended
    if (isUp) throw new Error(`${member} has started`)
    return { code, said: this.logOf(member).slice(before) }
  }

  /** Ends the whole cluster in good order. @returns the exit code of `conclave up` */
  async stop(): Promise<number | null> {
    this.#http.close()
    const { code } = await this.#program.end()
    for (const child of this.#restarted.values()) child.kill('SIGTERM')
    await until('every member is gone', () => !this.pids.some(isAlive))
    if (this.#isHomeOurs) this.home.remove()
    return code
  }

  #startMember(
    member: string,
    flags: readonly string[] = [],
  ): { child: ChildProcess; ready: Promise<void> } {
    const kind = member.replace(/-\d+$/, '')
    const main = join(repository, 'apps', kind, 'src/main.ts')
    const config = join(this.directory, 'run', `${member}.json`)
    const log = openSync(this.#logFile(member), 'a', 0o600)
    // Its standard input is ours, so it ends when we do.
    const child = spawn(process.execPath, [main, '--config', config, ...flags], {
      cwd: repository,
      env: this.home.environment,
      stdio: ['pipe', 'pipe', log],
    })
    closeSync(log)
    child.stdin?.on('error', () => undefined)
    const ready = Promise.withResolvers<void>()
    child.once('exit', () => {
      ready.reject(new Error(`${member} ended: ${this.logOf(member).slice(-1000)}`))
    })
    ready.promise.catch(() => undefined)
    void (async () => {
      for await (const line of linesOf(child.stdout as AsyncIterable<Uint8Array>)) {
        if (line.startsWith('{"ready":true')) ready.resolve()
      }
    })()
    return { child, ready: ready.promise }
  }

  #logFile(member: string): string {
    return join(this.directory, 'logs', `${member}.log`)
  }

  async #signed(
    master: Master,
    face: string,
    path: string,
    wanted: Partial<HttpRequest>,
    asking: Asking,
  ): Promise<HttpRequest> {
    const token = asking === 'nobody' ? undefined : await this.token(asking)
    const signature = token === undefined ? {} : { authorization: `token=${token}` }
    const url = new URL(path, master.listeners[face])
    return { ...wanted, url, headers: { ...signature, ...wanted.headers } }
  }

  async #statusOf(master: Master): Promise<{ role: string; isReady: boolean } | undefined> {
    try {
      const answer = await this.#http.request({
        url: new URL('/health', master.listeners['conclave']),
      })
      return JSON.parse(Buffer.from(answer.body).toString()) as { role: string; isReady: boolean }
    } catch {
      return undefined
    }
  }

  #login({ uid, password }: Exclude<Asking, 'nobody'>): Promise<string> {
    return until(`${uid} is logged in`, async () => {
      for (const { listeners } of this.ready.masters) {
        try {
          const answer = await this.#http.request({
            url: new URL('/acs/api/v1/auth/login', listeners['dcos']),
            body: { uid, password },
          })
          const { token } = JSON.parse(Buffer.from(answer.body).toString()) as { token?: string }
          if (token !== undefined) return token
        } catch {
          // This master is down; another one answers.
        }
      }
      return undefined
    })
  }
}
