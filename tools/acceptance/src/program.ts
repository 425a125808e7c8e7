import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** The root of the repository: commands are run as a user would run them there. */
export const repository = join(import.meta.dirname, '../../..')

/** The command line, as a program. */
export const conclaveProgram = join(repository, 'apps/cli/src/main.ts')

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Standard output as it came, for values that are no text. */
  readonly bytes: Buffer
}

export interface ProgramOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
}

/** A program that runs, and what it has said so far. */
export class Program {
  readonly child: ChildProcess
  readonly #stdout: Buffer[] = []
  readonly #stderr: Buffer[] = []
  readonly #ended: Promise<unknown>

  constructor(
    program: string,
    args: readonly string[],
    options: ProgramOptions & { readonly stdin?: 'pipe' | 'ignore' } = {},
  ) {
    this.child = spawn(program, args, {
      cwd: options.cwd ?? repository,
      // Nx sets FORCE_COLOR for whoever it runs, and Node warns of both.
      env: { ...(options.env ?? process.env), NO_COLOR: '1', FORCE_COLOR: undefined },
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.on('data', (chunk: Buffer) => this.#stdout.push(chunk))
    this.child.stderr?.on('data', (chunk: Buffer) => this.#stderr.push(chunk))
    this.child.stdin?.on('error', () => undefined)
    this.#ended = once(this.child, 'close')
    running.add(this.child)
    this.child.once('close', () => running.delete(this.child))
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  get stdout(): string {
    return Buffer.concat(this.#stdout).toString('utf8')
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString('utf8')
  }

  async outcome(): Promise<Outcome> {
    await this.#ended
    const bytes = Buffer.concat(this.#stdout)
    return { code: this.child.exitCode, stdout: this.stdout, stderr: this.stderr, bytes }
  }

  /** Ends it if it still runs. @returns its outcome */
  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Outcome> {
    if (!this.hasEnded) this.child.kill(signal)
    return this.outcome()
  }
}

const running = new Set<ChildProcess>()
process.once('exit', killPrograms)

/** For a test that failed half-way. Members of a cluster end when the command that started them does. */
export function killPrograms(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** Runs a program to its end and keeps what it printed. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Outcome> {
  const started = new Program(program, args, { ...options, stdin: 'pipe' })
  started.child.stdin?.end(options.input)
  return started.outcome()
}

/** Whether a process with this id is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
