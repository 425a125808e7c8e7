import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HttpClient, type HttpRequest, type HttpResponse } from '@conclave/runtime'

/** The root of the repository: commands are run as a user would run them there. */
export const repository = join(import.meta.dirname, '../../..')
const cli = join(repository, 'apps/cli/src/main.ts')

export interface Master {
  readonly masterId: string
  readonly pid: number
  readonly directory: string
  /** By face: `conclave`, `dcos`, `mesos`. */
  readonly listeners: Readonly<Record<string, string>>
}

/** What `conclave up --ready-file` writes. */
export interface Ready {
  readonly clusterId: string
  readonly directory: string
  readonly masters: readonly Master[]
  readonly agents: readonly {
    readonly id: string
    readonly pid: number
    readonly directory: string
  }[]
  readonly schedulers: readonly { readonly id: string; readonly pid: number }[]
  readonly credentials: { readonly uid: string; readonly password: string }
}

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end and keeps what it printed. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: {
    readonly cwd?: string
    readonly env?: Readonly<Record<string, string>>
    readonly input?: string | Uint8Array
  } = {},
): Promise<Outcome> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? repository,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** A cluster of real processes, started by the command line, with a client that is logged in. */
export class Conclave {
  readonly ready: Ready
  readonly #child: ChildProcess
  readonly #scratch: string
  readonly #http = new HttpClient({ timeoutMs: 30_000 })
  #token: string | undefined

  private constructor(ready: Ready, child: ChildProcess, scratch: string) {
    this.ready = ready
    this.#child = child
    this.#scratch = scratch
  }

  /** @param args more flags for `conclave up`, such as `--agents 1` */
  static async start(args: readonly string[] = []): Promise<Conclave> {
    const scratch = mkdtempSync(join(realpathSync(tmpdir()), 'conclave-acceptance-'))
    const readyFile = join(scratch, 'ready.json')
    const data = join(scratch, 'data')
    const child = spawn(
      process.execPath,
      [cli, 'up', '--processes', '--data', data, '--ready-file', readyFile, ...args],
      { cwd: repository, env: environmentIn(scratch), stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
    while (!existsSync(readyFile)) {
      if (child.exitCode !== null) throw new Error(`conclave up ended (${child.exitCode}): ${said}`)
      await sleep(20)
    }
    const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as Ready
    return new Conclave(ready, child, scratch)
  }

  /** Where the cluster keeps everything it has on disk. */
  get directory(): string {
    return this.ready.directory
  }

  /** `conclave <args>` as this cluster's user. */
  cli(args: readonly string[], input?: string | Uint8Array): Promise<Outcome> {
    return runProgram(process.execPath, [cli, ...args], {
      env: environmentIn(this.#scratch),
      ...(input !== undefined && { input }),
    })
  }

  /** A request to one master's face, logged in. */
  async ask(
    master: Master,
    face: string,
    path: string,
    wanted: Partial<HttpRequest> = {},
  ): Promise<HttpResponse> {
    this.#token ??= await this.#login()
    return this.#http.request({
      ...wanted,
      url: new URL(path, master.listeners[face]),
      headers: { authorization: `token=${this.#token}`, ...wanted.headers },
    })
  }

  async token(): Promise<string> {
    this.#token ??= await this.#login()
    return this.#token
  }

  /** The master that leads, as it says itself; waits while nobody does. */
  async leader(among: readonly Master[] = this.ready.masters): Promise<Master> {
    for (let attempt = 0; attempt < 600; attempt++) {
      for (const master of among) {
        const status = await this.#statusOf(master)
        if (status?.role === 'leader' && status.isReady) return master
      }
      await sleep(50)
    }
    throw new Error('no leader within 30 s')
  }

  /** Ends the whole cluster in good order. @returns the exit code of `conclave up` */
  async stop(): Promise<number | null> {
    this.#http.close()
    this.#child.kill('SIGTERM')
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit')
    }
    rmSync(this.#scratch, { recursive: true, force: true, maxRetries: 5 })
    return this.#child.exitCode
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

  async #login(): Promise<string> {
    for (const { listeners } of this.ready.masters) {
      try {
        const answer = await this.#http.request({
          url: new URL('/acs/api/v1/auth/login', listeners['dcos']),
          body: this.ready.credentials,
        })
        const { token } = JSON.parse(Buffer.from(answer.body).toString()) as { token?: string }
        if (token !== undefined) return token
      } catch {
        // This master is down; another one answers.
      }
    }
    throw new Error('nobody lets us log in')
  }
}

/** Its own home, so that neither the user's context nor the tests of others are touched. */
const environmentIn = (scratch: string): Record<string, string> => ({
  ...(process.env as Record<string, string>),
  HOME: scratch,
  USERPROFILE: scratch,
  CONCLAVE_CONTEXT: join(scratch, 'context.json'),
  NO_COLOR: '1',
})
