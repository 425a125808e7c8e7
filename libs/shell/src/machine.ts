import { ConclaveError, invariant, wipe, type Clock, type Random } from '@conclave/kernel'
import { fromText, type ByteString } from './byte-string.ts'
import { NullDescription, SinkDescription, type Description } from './description.ts'
import type { FileSystem } from './file-system.ts'
import {
  defaultLimits,
  ForkRefused,
  Kernel,
  type Birth,
  type Environment,
  type ExitStatus,
  type Limits,
  type Loader,
  type Mount,
  Process,
  type User,
} from './kernel.ts'
import { load, programs } from './loader.ts'
import type { Network } from './network.ts'
import type { OutputGate } from './output-gate.ts'
import { HostPipe } from './pipe.ts'
import { signalName, signalNumber, type SignalName } from './signals.ts'
import { Terminal, type TerminalSize } from './terminal.ts'
import { WaitSet, type Task } from './wait-set.ts'

/** The machine has ended, or was never started: nothing can run in it. */
export class MachineNotRunning extends ConclaveError {
  readonly code = 'shell.machine-not-running'
}

/** The machine has as many processes as it may have. */
export class TooManyProcesses extends ConclaveError {
  readonly code = 'shell.too-many-processes'
}

export interface MachineOptions {
  readonly fs: FileSystem
  /** Real time, or a virtual one: `sleep 3600` then takes as long as moving that clock. */
  readonly clock: Clock
  readonly random: Random
  readonly hostname: string
  /** Accounts beside `root`. A uid without one is shown as its number. */
  readonly users?: readonly User[]
  /** What `mount`, `findmnt`, `df` and `/proc/mounts` print; asked each time. */
  readonly mounts?: () => readonly Mount[]
  readonly limits?: Partial<Limits>
  /** What `curl` reaches. Without it every name is unknown. */
  readonly network?: Network
}

/** One program to run, and where its output goes. */
export interface ProcessOptions {
  /** The program and its arguments as ordinary text. The program is looked up in `PATH`. */
  readonly argv: readonly string[]
  /**
   * The whole environment: the machine adds nothing. Values are ordinary text or bytes; the machine
   * owns the arrays from now on, does not copy them, and zeroes them when it ends.
   */
  readonly env: ReadonlyMap<string, string | Uint8Array>
  /** An absolute path; `/` unless given. */
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  readonly umask?: number
  /** Called while `step` runs, once for each write. The callee owns the bytes. */
  readonly stdout: (bytes: Uint8Array) => void
  /** May be the same function as `stdout`: the order of writes is kept. */
  readonly stderr: (bytes: Uint8Array) => void
  /** Keeps standard input open for {@link StartedProcess.stdin}. Without it, it is `/dev/null`. */
  readonly stdin?: boolean
  /** Programs wait to write while it is shut. Without it, all they write is taken. */
  readonly gate?: OutputGate
  /** Standard input, output and error are one terminal, whose output goes to `stdout`. */
  readonly terminal?: TerminalSize
}

/** The near end of a process's standard input. */
export interface StdinWriter {
  /** Copies and queues all of `bytes`. False asks to wait a little: the process reads slower. */
  write(bytes: Uint8Array): boolean
  /** Calls back once, when the process has read some of it or reads no more. */
  onTaken(tell: () => void): void
  /** A terminal has no end but `^D`, which is typed. */
  end(): void
}

export interface StartedProcess {
  readonly pid: number
  /** There when it was asked for, or on a terminal. */
  readonly stdin?: StdinWriter
  /** There on a terminal. */
  readonly resize?: (size: TerminalSize) => void
}

/** How a process ended: `exitCode` is 128 plus the number of `signal` when it died of one. */
export interface Exit {
  readonly exitCode: number
  readonly signal?: SignalName
}

/** `ready`: step again. `idle`: everyone sleeps or waits. `ended`: pid 1 is gone, and all with it. */
export type MachineState = 'ready' | 'idle' | 'ended'

/**
 * One container: simulated processes, their signals and pipes, over a file system that is given. It
 * has no thread and no timer of its own. Whoever owns it calls {@link step} while it is ready, again
 * when {@link onReady} says so, and at {@link nextWakeMs}. An idle machine costs nothing but memory.
 *
 * 1. A step does a bounded amount of work for each tick, whatever the program does.
 * 2. The end of pid 1, by itself or by a signal, ends every other process with SIGKILL.
 * 3. SIGKILL ends a process before its next tick; nothing can catch or ignore it.
 */
export class Machine {
  readonly #kernel: Kernel
  readonly #ownedBytes: Uint8Array[] = []
  #exitListeners: Map<number, ((exit: Exit) => void)[]> | undefined
  #exits: Map<number, Exit> | undefined
  #isStarted = false

  constructor(options: MachineOptions) {
    const { fs, clock, random, hostname, users, mounts, limits, network } = options
    const root: User = { name: 'root', uid: 0, gid: 0, home: '/root' }
    this.#kernel = new Kernel(
      {
        fs,
        clock,
        random,
        hostname,
        users: users?.some(({ uid }) => uid === 0) ? users : [root, ...(users ?? [])],
        mounts: mounts ?? noMounts,
        limits: limits === undefined ? defaultLimits : { ...defaultLimits, ...limits },
        network,
      },
      load,
    )
    this.#kernel.processEnded = (process, status) => this.#processEnded(process, status)
  }

  /** Starts pid 1. Its output begins to flow with the next {@link step}. */
  start(options: ProcessOptions): StartedProcess {
    invariant(!this.#isStarted, 'a machine is started once')
    this.#isStarted = true
    return this.#spawn(options)
  }

  /** Runs one more program beside pid 1, as `docker exec` does. Its parent is nobody. */
  exec(options: ProcessOptions): StartedProcess {
    if (this.state === 'ended') throw new MachineNotRunning('the container is not running')
    return this.#spawn(options)
  }

  /**
   * Shows one more process, which does nothing until it is killed or the machine ends: `ps` and `/proc` have
   * it like any other.
   *
   * @throws TooManyProcesses
   */
  stand(options: Pick<ProcessOptions, 'argv' | 'env' | 'cwd' | 'uid' | 'gid'>): void {
    if (this.state === 'ended') throw new MachineNotRunning('the container is not running')
    const silent = { stdout: () => undefined, stderr: () => undefined }
    this.#born(this.#birth({ ...options, ...silent }, new NullDescription()), standing)
  }

  /**
   * Runs ready processes in turn for at most `ticks` ticks (a few microseconds each), after waking
   * those whose time has come. Never blocks: `yes` and `while :; do :; done` only stay ready.
   */
  step(ticks = 1000): MachineState {
    this.#kernel.step(ticks)
    return this.state
  }

  get state(): MachineState {
    if (!this.#kernel.processes.has(1)) return 'ended'
    return this.#kernel.hasReady ? 'ready' : 'idle'
  }

  /** When an idle machine has to be stepped next, on its clock; nothing when only outside can wake it. */
  nextWakeMs(): number | undefined {
    return this.#kernel.nextWakeMs
  }

  /**
   * Called when an idle machine became ready between two steps: something was executed, written to
   * its standard input, signalled or answered. One callback; the last one given counts.
   */
  onReady(callback: () => void): void {
    this.#kernel.ready = callback
  }

  /** Sends a signal, `TERM` or `SIGTERM`. False when there is no such process any more. */
  signal(pid: number, name: SignalName | `SIG${SignalName}`): boolean {
    const process = this.#kernel.processes.get(pid)
    if (process === undefined) return false
    const number = signalNumber(name)
    invariant(number !== undefined, `no signal is called ${name}`)
    this.#kernel.signal(process, number)
    return true
  }

  /** Calls back when the process ends; at once when it has ended already. */
  onExit(pid: number, callback: (exit: Exit) => void): void {
    const ended = this.#exits?.get(pid)
    if (ended !== undefined) return callback(ended)
    this.#exitListeners ??= new Map()
    const listeners = this.#exitListeners.get(pid)
    if (listeners === undefined) this.#exitListeners.set(pid, [callback])
    else listeners.push(callback)
  }

  /**
   * Why a program cannot be run, with the exit code that shells have for it, or undefined when it can. As
   * {@link exec} would look it up.
   */
  refusalOf(
    options: Pick<ProcessOptions, 'argv' | 'env' | 'cwd' | 'uid' | 'gid'>,
  ): { readonly status: 126 | 127; readonly why: string } | undefined {
    const path = options.env.get('PATH')
    const credentials = { uid: options.uid ?? 0, gid: options.gid ?? 0 }
    const probe = new Process(this.#kernel, 0, {
      argv: [],
      environment: new Map(),
      cwd: fromText(options.cwd ?? '/'),
      umask: 0o022,
      credentials,
      descriptions: [],
    })
    const text = typeof path === 'string' ? fromText(path) : undefined
    const found = programs.resolve(probe, options.argv.map(fromText), text)
    return found.isFound ? undefined : found
  }

  /** The processes of the machine as `ps` would show them, in order of their pids. */
  processes(): readonly { readonly pid: number; readonly argv: readonly ByteString[] }[] {
    return [...this.#kernel.processes.values()].map(({ pid, argv }) => ({ pid, argv }))
  }

  #spawn(options: ProcessOptions): StartedProcess {
    if (options.terminal !== undefined) return this.#spawnOnTerminal(options, options.terminal)
    const input = options.stdin === true ? new HostPipe() : undefined
    const birth = this.#birth(options, input?.reader ?? new NullDescription())
    const { pid } = this.#born(birth)
    return input === undefined ? { pid } : { pid, stdin: input }
  }

  #spawnOnTerminal(options: ProcessOptions, size: TerminalSize): StartedProcess {
    const terminal = new Terminal(size, options.stdout, options.gate)
    const birth = this.#birth(options, terminal)
    const { pid } = this.#born({ ...birth, descriptions: [terminal, terminal, terminal] })
    terminal.onSignal = (number) => {
      for (const process of this.#kernel.processes.values()) {
        if (process.group === pid) this.#kernel.signal(process, number)
      }
    }
    const stdin: StdinWriter = {
      write: (bytes) => terminal.type(bytes),
      onTaken: (tell) => terminal.onTaken(tell),
      end: () => {},
    }
    return { pid, stdin, resize: (to) => terminal.resize(to) }
  }

  #born(birth: Birth, body: Loader = this.#kernel.load): Process {
    try {
      const process = this.#kernel.spawn(birth, body)
      this.#exits?.delete(process.pid)
      return process
    } catch (refusal) {
      if (!(refusal instanceof ForkRefused)) throw refusal
      throw new TooManyProcesses('the container has as many processes as it may have')
    }
  }

  #birth(options: ProcessOptions, stdin: Description): Birth {
    const environment: Environment = new Map()
    for (const [name, value] of options.env) {
      environment.set(fromText(name), typeof value === 'string' ? fromText(value) : value)
      if (typeof value !== 'string') this.#ownedBytes.push(value)
    }
    const stdout = new SinkDescription(options.stdout, options.gate)
    const isOneStream = options.stderr === options.stdout
    const stderr = isOneStream ? stdout : new SinkDescription(options.stderr, options.gate)
    return {
      argv: options.argv.map(fromText),
      environment,
      cwd: fromText(options.cwd ?? '/'),
      umask: options.umask ?? 0o022,
      credentials: { uid: options.uid ?? 0, gid: options.gid ?? 0 },
      descriptions: [stdin, stdout, stderr],
    }
  }

  #processEnded(process: Process, status: ExitStatus): void {
    if (process.pid === 1) for (const bytes of this.#ownedBytes) wipe(bytes)
    if (process.parent !== undefined && this.#exitListeners?.has(process.pid) !== true) return
    const name = status.signal === undefined ? undefined : signalName(status.signal)
    const { exitCode } = status
    const exit: Exit = name === undefined ? { exitCode } : { exitCode, signal: name }
    this.#exits ??= new Map()
    this.#exits.set(process.pid, exit)
    if (this.#exits.size > exitsKept) this.#exits.delete(this.#oldestExit())
    const listeners = this.#exitListeners?.get(process.pid)
    this.#exitListeners?.delete(process.pid)
    for (const listener of listeners ?? []) listener(exit)
  }

  #oldestExit(): number {
    for (const pid of this.#exits?.keys() ?? []) if (pid !== 1) return pid
    return 0
  }
}

function* standing(): Task<number> {
  const never = new WaitSet()
  for (;;) yield never
}

// Enough for every exec whose caller asks a little late.
const exitsKept = 64

const noMounts = (): readonly Mount[] => []
