import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  ContainerRefused,
  type Container,
  type ContainerExit,
  type ContainerRuntime,
  type ContainerSpec,
  type Exec,
  type OutputChunk,
  type OutputWanted,
} from '@conclave/actors'
import { HostFailed, sandboxDirectory, type Host } from '@conclave/isolators'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import { OutputLog } from '../memory/output-log.ts'

export interface ProcessRuntimeOptions {
  /** Each program's working directory is made below it, and removed with the program. */
  readonly directory: string
  readonly outputSizeBytesMax?: number
}

const pidFile = 'pid'

/**
 * Runs executors of frameworks as plain processes of this machine: a real program, in whatever language
 * there is, that calls at the agent's listener. It isolates nothing. Whoever may launch tasks runs
 * programs as the user of the agent, so it has to be asked for. Secret files need a tmpfs of their own,
 * which a plain process has not: they are refused. Values in the environment are where Mesos has them,
 * in `/proc/<pid>/environ`, for this user and root to read.
 */
export class ProcessRuntime implements ContainerRuntime {
  readonly name = 'process'
  readonly #options: ProcessRuntimeOptions
  readonly #containers = new Map<string, ProcessContainer>()

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options
  }

  /** Ends what an agent that was killed left running, and removes its directories. */
  async recover(): Promise<void> {
    const { directory } = this.#options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(directory)) {
      const place = join(directory, name)
      const left = leftIn(place)
      if (left !== undefined && startOf(left.pid) === left.start) killGroup(left.pid, 'SIGKILL')
      rmSync(place, { recursive: true, force: true })
    }
  }

  async create(spec: ContainerSpec): Promise<Container> {
    const { containerId, argv } = spec
    if (this.#containers.has(containerId)) {
      throw new ContainerRefused(`there is a container ${containerId}`)
    }
    if (argv.length === 0 || argv[0] === '') {
      throw new ContainerRefused('there is no program to run')
    }
    const directory = join(this.#options.directory, encodeURIComponent(containerId))
    mkdirSync(join(directory, 'sandbox'), { recursive: true, mode: 0o700 })
    const container = new ProcessContainer({
      spec,
      directory,
      outputSizeBytesMax: this.#options.outputSizeBytesMax ?? 1_048_576,
      onDestroyed: () => this.#containers.delete(containerId),
    })
    this.#containers.set(containerId, container)
    return container
  }

  destroyAll(): void {
    for (const container of this.#containers.values()) {
      container.destroyNow()
      container.forgetOutput()
    }
  }
}

interface ProcessContainerOptions {
  readonly spec: ContainerSpec
  readonly directory: string
  readonly outputSizeBytesMax: number
  readonly onDestroyed: () => void
}

class ProcessContainer implements Container, Host {
  readonly #options: ProcessContainerOptions
  readonly #log: OutputLog
  readonly #environment = new Map<string, string>()
  #process: ChildProcess | undefined
  #isDestroyed = false

  constructor(options: ProcessContainerOptions) {
    this.#options = options
    this.#log = new OutputLog(options.outputSizeBytesMax, Date.now)
  }

  get host(): Host {
    return this
  }

  async provisionImage(): Promise<void> {
    throw new HostFailed('an executor that is a plain process has no image')
  }

  async fetchUri(): Promise<void> {
    throw new HostFailed('a plain process is fetched no URIs')
  }

  async mountTmpfs(): Promise<void> {
    throw new HostFailed('an executor that is a plain process has no tmpfs for secret files')
  }

  async writeFile(): Promise<void> {
    throw new HostFailed('the container has no tmpfs')
  }

  async bindFile(): Promise<void> {
    throw new HostFailed('the container has no tmpfs')
  }

  async replaceFile(): Promise<void> {
    throw new HostFailed('the container has no tmpfs')
  }

  async print(line: string): Promise<void> {
    this.#log.append('stdout', utf8(`${line}\n`))
  }

  /** A process is started with strings, so this is where a value becomes one. */
  async setEnv(name: string, value: string | RedactedBytes): Promise<void> {
    this.#environment.set(name, value instanceof Redacted ? utf8Text(value.reveal()) : value)
  }

  async clearEnv(): Promise<void> {
    this.#environment.clear()
  }

  async unbindFile(): Promise<void> {}

  async unmountTmpfs(): Promise<void> {}

  async start(onExit: (exit: ContainerExit) => void): Promise<void> {
    const { spec, directory } = this.#options
    const [program = '', ...rest] = spec.argv
    const sandbox = join(directory, 'sandbox')
    // The sandbox is where it is: a plain process sees this machine's paths.
    const env = Object.fromEntries(
      [...this.#environment].map(([name, value]) => [
        name,
        value === sandboxDirectory ? sandbox : value,
      ]),
    )
    const child = spawn(program, rest, {
      cwd: sandbox,
      env: { ...env, PATH: process.env['PATH'] ?? env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that whatever it starts ends with it.
      detached: true,
    })
    this.#environment.clear()
    this.#process = child
    child.stdout.on('data', (bytes: Buffer) => this.#log.append('stdout', bytes))
    child.stderr.on('data', (bytes: Buffer) => this.#log.append('stderr', bytes))
    child.once('close', (code, signal) => {
      this.#log.end()
      onExit(exitOf(code, signal))
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (cause) => {
        reject(new ContainerRefused(`${program} cannot be started`, { cause }))
      })
    })
    const { pid = 0 } = child
    writeFileSync(join(directory, pidFile), JSON.stringify({ pid, start: startOf(pid) }), {
      mode: 0o600,
    })
  }

  /** It is given nothing to read, and no terminal. */
  readonly input = undefined

  resize(): void {}

  askToEnd(): void {
    this.signal('TERM')
  }

  usage(): undefined {}

  async exec(): Promise<Exec> {
    throw new ContainerRefused('there are no sessions in an executor that is a plain process')
  }

  signal(name: string): void {
    const { pid } = this.#process ?? {}
    if (pid !== undefined && this.#process?.exitCode === null) {
      killGroup(pid, `SIG${name.replace(/^SIG/, '')}` as NodeJS.Signals)
    }
  }

  async destroy(): Promise<void> {
    const child = this.#process
    const isRunning = child?.exitCode === null && child.signalCode === null
    const gone = isRunning && new Promise((resolve) => child.once('close', resolve))
    this.destroyNow()
    await gone
  }

  destroyNow(): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    if (this.#process?.pid !== undefined) killGroup(this.#process.pid, 'SIGKILL')
    this.#environment.clear()
    rmSync(this.#options.directory, { recursive: true, force: true })
    this.#options.onDestroyed()
  }

  output(wanted: OutputWanted, signal: AbortSignal): AsyncIterable<OutputChunk> {
    return this.#log.read(wanted, signal)
  }

  forgetOutput(): void {
    this.#log.forget()
  }
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGTERM: 15,
  SIGKILL: 9,
  SIGINT: 2,
  SIGHUP: 1,
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): ContainerExit {
  if (signal === null) return { exitCode: code ?? 0 }
  return { exitCode: 128 + (signalNumbers[signal] ?? 0), signal: signal.slice(3) }
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended, or there is no such signal here: nothing is left to be told.
  }
}

/** When a process began, in the kernel's ticks: a pid may be somebody else's by now. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function leftIn(place: string): { pid: number; start: string } | undefined {
  try {
    const left = JSON.parse(readFileSync(join(place, pidFile), 'utf8')) as Partial<
      Record<string, unknown>
    >
    const { pid, start } = left
    return typeof pid === 'number' && typeof start === 'string' && pid > 1
      ? { pid, start }
      : undefined
  } catch {
    return undefined
  }
}
