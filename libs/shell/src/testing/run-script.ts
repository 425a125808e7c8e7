import { ManualClock, SeededRandom } from '@conclave/testkit'
import type { Exit } from '../machine.ts'
import { Machine, type MachineOptions, type ProcessOptions } from '../machine.ts'
import { MemoryFileSystem } from './memory-file-system.ts'

/** A machine over memory, with a clock that a test moves. */
export interface TestMachine {
  readonly machine: Machine
  readonly fs: MemoryFileSystem
  readonly clock: ManualClock
}

export function testMachine(options: Partial<MachineOptions> = {}): TestMachine {
  const clock = new ManualClock()
  const fs = new MemoryFileSystem(clock)
  const random = new SeededRandom(1)
  const machine = new Machine({ fs, clock, random, hostname: 'machine', ...options })
  return { machine, fs, clock }
}

export interface Outcome extends Exit {
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions extends Partial<Omit<ProcessOptions, 'stdin' | 'stdout' | 'stderr'>> {
  readonly stdin?: string
}

const decoder = new TextDecoder('utf-8')

/** Everything a started process wrote, and how it ended. */
export class Recording {
  readonly #out: Uint8Array[] = []
  readonly #err: Uint8Array[] = []
  exit: Exit | undefined

  readonly stdout = (bytes: Uint8Array): void => {
    this.#out.push(bytes)
  }

  readonly stderr = (bytes: Uint8Array): void => {
    this.#err.push(bytes)
  }

  get out(): string {
    return decoder.decode(Buffer.concat(this.#out))
  }

  get err(): string {
    return decoder.decode(Buffer.concat(this.#err))
  }
}

const usualEnvironment: ReadonlyMap<string, string> = new Map([
  ['HOME', '/root'],
  ['PATH', '/usr/bin:/bin'],
])

/** Starts pid 1 and records it. */
export function record(
  machine: Machine,
  argv: readonly string[],
  options: RunOptions = {},
): Recording {
  const recording = new Recording()
  const { stdin, ...rest } = options
  const { stdout, stderr } = recording
  const isFirst = machine.processes().length === 0
  const all: ProcessOptions = {
    env: usualEnvironment,
    cwd: '/tmp',
    ...rest,
    argv,
    stdin: stdin !== undefined,
    stdout,
    stderr,
  }
  const started = isFirst ? machine.start(all) : machine.exec(all)
  if (stdin !== undefined) {
    started.stdin?.write(new TextEncoder().encode(stdin))
    started.stdin?.end()
  }
  machine.onExit(started.pid, (exit) => {
    recording.exit = exit
  })
  return recording
}

/**
 * Steps a machine until it has ended, moving its clock whenever everybody sleeps.
 *
 * @throws Error when nobody will ever wake it, or after too many steps
 */
export function runToEnd({ machine, clock }: TestMachine, stepsMax = 20_000): void {
  for (let steps = 0; steps < stepsMax; steps++) {
    const state = machine.step()
    if (state === 'ended') return
    if (state === 'ready') continue
    const wakeMs = machine.nextWakeMs()
    if (wakeMs === undefined) throw new Error('the machine waits for something that never comes')
    clock.advance(Math.max(0, wakeMs - clock.nowMs()))
  }
  throw new Error('the machine does not come to an end')
}

/** Runs `sh -c script` in a machine of its own, to its end. */
export function runScript(script: string, options: RunOptions = {}): Outcome {
  const made = testMachine()
  const recording = record(made.machine, ['sh', '-c', script], options)
  runToEnd(made)
  return outcomeOf(recording)
}

export function outcomeOf({ exit, out, err }: Recording): Outcome {
  if (exit === undefined) throw new Error('the process has not ended')
  return { ...exit, stdout: out, stderr: err }
}
