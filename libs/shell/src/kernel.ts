import { ConclaveError, InvariantViolated, type Clock, type Random } from '@conclave/kernel'
import { byteString, type ByteString } from './byte-string.ts'
import type { Description } from './description.ts'
import type { Credentials, FileSystem } from './file-system.ts'
import type { Network } from './network.ts'
import { exitCodeOfSignal, ignoredByDefault, signal, stopsByDefault } from './signals.ts'
import { WaitSet, type Pause, type Task } from './wait-set.ts'

/** What one machine may use at most. */
export interface Limits {
  readonly processes: number
  /** The longest string a variable, an argument or a line may be. */
  readonly stringBytes: number
  /** How deep functions, `eval` and sourced files may call each other. */
  readonly recursion: number
  /** Descriptor numbers a process may use: 0 up to one less than this. */
  readonly openFiles: number
}

export const defaultLimits: Limits = {
  processes: 64,
  stringBytes: 1_048_576,
  recursion: 100,
  openFiles: 64,
}

/** An account that `id`, `whoami`, `ls -l` and `~name` know. */
export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/** One line of `mount`, `findmnt` and `/proc/mounts`. */
export interface Mount {
  readonly source: string
  readonly at: string
  readonly type: string
  /** As `mount` prints them, such as `ro,nosuid,nodev,noexec,size=1024k,mode=700`. */
  readonly options: string
  readonly sizeBytes?: number
  readonly usedBytes?: number
}

/** What a process of the machine is born into. */
export interface Surroundings {
  readonly fs: FileSystem
  readonly clock: Clock
  readonly random: Random
  readonly hostname: string
  readonly users: readonly User[]
  readonly mounts: () => readonly Mount[]
  readonly limits: Limits
  readonly network: Network | undefined
}

export interface ExitStatus {
  readonly exitCode: number
  /** The number of the signal the process died of. */
  readonly signal?: number
}

/**
 * Exported variables. A value stays the bytes it came as until somebody expands it, so that a
 * machine that never looks at a secret never makes a string of it.
 */
export type Environment = Map<string, ByteString | Uint8Array>

export const environmentValue = (value: ByteString | Uint8Array): ByteString =>
  typeof value === 'string' ? value : byteString(value)

/** Turns an argument vector into the work of a process. */
export type Loader = (process: Process) => Task<number>

/** Too many processes: `fork` says EAGAIN. */
export class ForkRefused extends Error {}

/** What a child has in common with whoever made it. */
export interface Birth {
  readonly argv: readonly ByteString[]
  readonly environment: Environment
  readonly cwd: ByteString
  readonly umask: number
  readonly credentials: Credentials
  readonly descriptions: readonly (Description | undefined)[]
  readonly ignored?: ReadonlySet<number> | undefined
  readonly parent?: Process | undefined
}

export class Process {
  readonly kernel: Kernel
  readonly pid: number
  /** Equal for everything that one start or exec from outside led to; what `kill 0` means. */
  readonly group: number
  readonly credentials: Credentials
  readonly startedAtMs: number
  argv: readonly ByteString[]
  environment: Environment
  /** Absolute; a byte string like every path inside. */
  cwd: ByteString
  umask: number
  parent: Process | undefined
  descriptions: (Description | undefined)[]
  status: ExitStatus | undefined
  /** Signals that are dropped. Children inherit it. */
  ignored: Set<number> | undefined
  /** Signals that a trap is waiting for. Children do not inherit it. */
  caught: Set<number> | undefined
  /** Caught signals that came and whose trap has not run yet, in order. */
  readonly pending: number[] = []
  readonly ended = new WaitSet()
  readonly childEnded = new WaitSet()
  /** Counts commands, so that long straight scripts tick too. */
  work = 0

  // The scheduler's own notes. Kernel writes them, nobody else reads them.
  body: Task<number> | undefined
  isQueued = false
  isStopped = false
  blockedOn: WaitSet | undefined
  isBlocked = false
  wakeAtMs = Infinity
  killedBy = 0

  constructor(kernel: Kernel, pid: number, birth: Birth) {
    this.kernel = kernel
    this.pid = pid
    this.group = birth.parent?.group ?? pid
    this.parent = birth.parent
    this.argv = birth.argv
    this.environment = birth.environment
    this.cwd = birth.cwd
    this.umask = birth.umask
    this.credentials = birth.credentials
    this.startedAtMs = kernel.surroundings.clock.nowMs()
    this.descriptions = birth.descriptions.map((description) => description?.retain())
    if (birth.ignored !== undefined && birth.ignored.size > 0) this.ignored = new Set(birth.ignored)
  }

  /** The kernel runs it again. Harmless when it is running or gone. */
  wake(): void {
    this.kernel.wake(this)
  }

  /** Starts a child that has everything of ours but what is given. @throws ForkRefused */
  spawn(own: Partial<Birth>, body: (child: Process) => Task<number>): Process {
    const { argv, environment, cwd, umask, credentials, descriptions, ignored } = this
    return this.kernel.spawn(
      { argv, environment, cwd, umask, credentials, descriptions, ignored, ...own, parent: this },
      body,
    )
  }

  setDescription(number: number, description: Description | undefined): void {
    const before = this.descriptions[number]
    description?.retain()
    while (this.descriptions.length <= number) this.descriptions.push(undefined)
    this.descriptions[number] = description
    before?.release()
  }
}

/** How many ticks a process gets before the next one has its turn. */
const turnTicks = 16

/** Runs the processes of one machine, one at a time, each up to its next pause. */
export class Kernel {
  readonly surroundings: Surroundings
  readonly processes = new Map<number, Process>()
  /** Called when a machine that had nothing to run has something to run again. */
  ready: (() => void) | undefined
  processEnded: ((process: Process, status: ExitStatus) => void) | undefined
  readonly load: Loader
  readonly #queue: Process[] = []
  #sleeping = 0
  #lastPid = 0
  #running: Process | undefined
  #isStepping = false

  constructor(surroundings: Surroundings, load: Loader) {
    this.surroundings = surroundings
    this.load = load
  }

  get hasReady(): boolean {
    return this.#queue.length > 0
  }

  /** The next moment a sleeping process has to run, if nothing else happens before. */
  get nextWakeMs(): number | undefined {
    if (this.#sleeping === 0) return undefined
    let earliest = Infinity
    for (const process of this.processes.values()) {
      if (process.wakeAtMs < earliest) earliest = process.wakeAtMs
    }
    return earliest === Infinity ? undefined : earliest
  }

  /**
   * Makes a process and queues it.
   *
   * @throws ForkRefused when the machine has as many processes as it may have
   */
  spawn(birth: Birth, body: (process: Process) => Task<number>): Process {
    if (this.processes.size >= this.surroundings.limits.processes) throw new ForkRefused()
    do this.#lastPid = this.#lastPid >= 32_767 ? 2 : this.#lastPid + 1
    while (this.processes.has(this.#lastPid))
    const process = new Process(this, this.#lastPid, birth)
    this.processes.set(process.pid, process)
    process.body = body(process)
    this.#enqueue(process)
    return process
  }

  /** Runs ready processes in turn for at most `ticks` ticks. */
  step(ticks: number): void {
    if (this.#sleeping > 0) this.#wakeSleepers()
    this.#isStepping = true
    try {
      let left = ticks
      while (left > 0) {
        const process = this.#queue.shift()
        if (process === undefined) break
        process.isQueued = false
        left -= this.#run(process, Math.min(left, turnTicks))
      }
    } finally {
      this.#isStepping = false
    }
  }

  wake(process: Process): void {
    if (!process.isBlocked || process.status !== undefined) return
    this.#unblock(process)
    if (!process.isStopped) this.#enqueue(process)
  }

  /** Delivers a signal. Signal 0 does nothing. */
  signal(process: Process, number: number): void {
    if (process.status !== undefined || number === 0) return
    if (number === signal.kill) return this.#kill(process, number)
    if (number === signal.continue) this.#continue(process)
    if (number === signal.stop) return this.#stop(process)
    if (process.ignored?.has(number)) return
    if (process.caught?.has(number)) {
      if (!process.pending.includes(number)) process.pending.push(number)
      this.wake(process)
      return
    }
    if (ignoredByDefault.has(number)) return
    if (stopsByDefault.has(number)) return this.#stop(process)
    this.#kill(process, number)
  }

  #run(process: Process, ticks: number): number {
    const body = process.body
    if (body === undefined || process.isStopped) return 0
    for (let spent = 1; spent <= ticks; spent++) {
      this.#running = process
      const { done, value } = advance(body)
      this.#running = undefined
      if (process.killedBy !== 0) {
        this.#end(process, statusOfSignal(process.killedBy))
        return spent
      }
      if (done) {
        this.#end(process, { exitCode: value & 0xff })
        return spent
      }
      if (value !== undefined) {
        this.#block(process, value)
        return spent
      }
      if (process.isStopped) return spent
    }
    this.#enqueue(process)
    return ticks
  }

  #block(process: Process, pause: Exclude<Pause, undefined>): void {
    // A signal that came while it was running is dealt with before it may sleep.
    process.isBlocked = true
    if (pause instanceof WaitSet) {
      process.blockedOn = pause
      pause.add(process)
      return
    }
    process.wakeAtMs = pause.untilMs
    this.#sleeping++
    if (pause.on !== undefined) {
      process.blockedOn = pause.on
      pause.on.add(process)
    }
  }

  #unblock(process: Process): void {
    process.isBlocked = false
    process.blockedOn?.delete(process)
    process.blockedOn = undefined
    if (process.wakeAtMs !== Infinity) {
      process.wakeAtMs = Infinity
      this.#sleeping--
    }
  }

  #enqueue(process: Process): void {
    if (process.isQueued) return
    process.isQueued = true
    this.#queue.push(process)
    if (this.#queue.length === 1 && !this.#isStepping) this.ready?.()
  }

  #wakeSleepers(): void {
    const nowMs = this.surroundings.clock.nowMs()
    for (const process of this.processes.values()) {
      if (process.wakeAtMs <= nowMs) this.wake(process)
    }
  }

  #stop(process: Process): void {
    process.isStopped = true
    if (!process.isQueued) return
    process.isQueued = false
    this.#queue.splice(this.#queue.indexOf(process), 1)
  }

  #continue(process: Process): void {
    if (!process.isStopped) return
    process.isStopped = false
    if (!process.isBlocked && process !== this.#running) this.#enqueue(process)
  }

  #kill(process: Process, number: number): void {
    if (process === this.#running) {
      // It is in the middle of its own code: it ends at its next pause.
      process.killedBy = number
      return
    }
    process.body?.return(0)
    this.#end(process, statusOfSignal(number))
  }

  #end(process: Process, status: ExitStatus): void {
    if (process.status !== undefined) return
    process.status = status
    if (process.killedBy !== 0 && process.body !== undefined) process.body.return(0)
    this.#forget(process)
    for (const other of this.processes.values()) {
      if (other.parent === process) other.parent = undefined
    }
    process.ended.wake()
    const parent = process.parent
    if (parent !== undefined && parent.status === undefined) {
      parent.childEnded.wake()
      this.signal(parent, signal.child)
    }
    this.processEnded?.(process, status)
    if (process.pid !== 1) return
    for (const other of this.processes.values()) this.#kill(other, signal.kill)
  }

  #forget(process: Process): void {
    this.#unblock(process)
    if (process.isQueued) {
      process.isQueued = false
      this.#queue.splice(this.#queue.indexOf(process), 1)
    }
    this.processes.delete(process.pid)
    const descriptions = process.descriptions
    process.descriptions = []
    process.body = undefined
    process.environment = new Map()
    for (const description of descriptions) description?.release()
  }
}

const statusOfSignal = (number: number): ExitStatus => ({
  exitCode: exitCodeOfSignal(number),
  signal: number,
})

// A fault inside a simulated program ends that program, as a fault inside a real one would, and
// never the agent that runs ten thousand of them. A fault of our own is not caught.
function advance(body: Task<number>): IteratorResult<Pause, number> {
  try {
    return body.next()
  } catch (fault) {
    if (fault instanceof InvariantViolated) throw fault
    const isTheirs =
      fault instanceof RangeError || fault instanceof ConclaveError || fault instanceof ForkRefused
    if (isTheirs) return { done: true, value: exitCodeOfSignal(signal.abort) }
    throw fault
  }
}
