import type { ByteString } from '../byte-string.ts'
import { commands } from '../commands/index.ts'
import { Invocation, runProgram } from '../invocation.ts'
import type { Process } from '../kernel.ts'
import { exitCodeOfSignal, signal, signalName, signalNumber, signals } from '../signals.ts'
import type { Task } from '../wait-set.ts'
import { lettersAndOperands, say, type Builtin } from './builtin.ts'
import type { Interpreter } from './interpreter.ts'
import { quotedAlways } from './quote.ts'
import { ScriptFault } from './script-fault.ts'
import type { Job, Shell } from './shell.ts'

const isEnded = (job: Job): boolean => job.processes.every(({ status }) => status !== undefined)

/** `%2`, `%%`, `%-`, `%text` or a pid of one of this shell's jobs. */
function findJob({ jobs: all }: Shell, name: ByteString): Job | undefined {
  if (!name.startsWith('%')) {
    return all.findLast(({ processes }) => processes.some(({ pid }) => String(pid) === name))
  }
  const rest = name.slice(1)
  if (rest === '' || rest === '%' || rest === '+') return all.at(-1)
  if (rest === '-') return all.at(-2)
  if (/^\d+$/.test(rest)) return all.find(({ number }) => number === Number(rest))
  return all.findLast(({ text }) => text.startsWith(rest))
}

function jobNamed(shell: Shell, name: ByteString): Job {
  const job = findJob(shell, name)
  if (job === undefined) throw new ScriptFault(`No such job: ${name}`)
  return job
}

const endedStatusesMax = 64

/** Takes a job that has ended off the list. Its exit codes are kept for a while. */
function forget(shell: Shell, job: Job): void {
  shell.jobs = shell.jobs.filter((other) => other !== job)
  for (const { pid, status } of job.processes) {
    if (status === undefined) continue
    shell.endedStatuses.delete(pid)
    shell.endedStatuses.set(pid, status.exitCode)
  }
  for (const pid of shell.endedStatuses.keys()) {
    if (shell.endedStatuses.size <= endedStatusesMax) return
    shell.endedStatuses.delete(pid)
  }
}

/** Waits for all of this shell's jobs, or for those that are named; a trapped signal ends the wait. */
export function* wait(interpreter: Interpreter, fields: readonly ByteString[]): Task<number> {
  const { shell } = interpreter
  const { operands } = lettersAndOperands(fields.slice(1), '')
  if (operands.length === 0) {
    for (const job of shell.jobs) {
      const interrupted = yield* waitForAll(interpreter, job.processes)
      if (interrupted !== undefined) return interrupted
      forget(shell, job)
    }
    return 0
  }
  let status = 0
  for (const name of operands) {
    const job = findJob(shell, name)
    if (job === undefined) {
      status = shell.endedStatuses.get(Number(name)) ?? 127
      continue
    }
    const named = job.processes.filter(({ pid }) => String(pid) === name)
    const awaited = named.length > 0 ? named : job.processes
    const interrupted = yield* waitForAll(interpreter, awaited)
    if (interrupted !== undefined) return interrupted
    status = awaited.at(-1)?.status?.exitCode ?? 0
    if (isEnded(job)) forget(shell, job)
  }
  return status
}

/** Answers nothing when all have ended, or the exit code that says which signal came first. */
function* waitForAll(
  { process: waiting }: Interpreter,
  processes: readonly Process[],
): Task<number | undefined> {
  for (const process of processes) {
    while (process.status === undefined) {
      const [number] = waiting.pending
      if (number !== undefined) return exitCodeOfSignal(number)
      yield process.ended
    }
  }
  return undefined
}

export const jobs: Builtin = (interpreter, fields) => {
  const { shell } = interpreter
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'lp')
  const shown = operands.length === 0 ? shell.jobs : operands.map((name) => jobNamed(shell, name))
  const lines = shown.map((job) => {
    const pid = job.processes[0]?.pid ?? 0
    if (letters.has('p')) return `${pid}\n`
    const mark = job === shell.jobs.at(-1) ? '+' : job === shell.jobs.at(-2) ? '-' : ' '
    const number = `[${job.number}] ${mark} ${letters.has('l') ? `${pid} ` : ''}`
    return `${number}${stateOf(job).padEnd(27)}${job.text}\n`
  })
  for (const job of shown) if (isEnded(job)) forget(shell, job)
  return say(interpreter, lines.join(''))
}

function stateOf(job: Job): ByteString {
  if (!isEnded(job)) return job.processes.some(({ isStopped }) => isStopped) ? 'Stopped' : 'Running'
  const status = job.processes.at(-1)?.status
  if (status?.signal !== undefined) return signalName(status.signal) ?? 'Done'
  return status === undefined || status.exitCode === 0 ? 'Done' : `Done(${status.exitCode})`
}

const resume = (job: Job): void => {
  for (const process of job.processes) process.kernel.signal(process, signal.continue)
}

export const background: Builtin = (interpreter, [, name = '%%']) => {
  const job = jobNamed(interpreter.shell, name)
  resume(job)
  return say(interpreter, `[${job.number}] ${job.text}\n`)
}

export function* foreground(
  interpreter: Interpreter,
  [, name = '%%']: readonly ByteString[],
): Task<number> {
  const job = jobNamed(interpreter.shell, name)
  yield* say(interpreter, `${job.text}\n`)
  resume(job)
  const interrupted = yield* waitForAll(interpreter, job.processes)
  if (interrupted !== undefined) return interrupted
  forget(interpreter.shell, job)
  return job.processes.at(-1)?.status?.exitCode ?? 0
}

/** The program `kill`, with jobs of this shell turned into their pids first. */
export function* kill(
  { shell, process }: Interpreter,
  fields: readonly ByteString[],
): Task<number> {
  const program = commands.get('kill')
  if (program === undefined) return 127
  const argv = fields.flatMap((field, index) =>
    index > 0 && field.startsWith('%')
      ? jobNamed(shell, field).processes.map(({ pid }) => String(pid))
      : [field],
  )
  const status = yield* runProgram(program, new Invocation(process, argv, shell.programs))
  // It may have been meant for this very shell, which then ends or stops in this pause.
  if (process.killedBy !== 0 || process.isStopped) yield
  return status
}

/** What a signal, or the end of the shell, leads to: a script, nothing at all (`''`), the usual (`-`). */
export const trap: Builtin = (interpreter, fields) => {
  const { shell } = interpreter
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'lp')
  if (letters.has('l')) {
    return say(interpreter, signals.map(([number, name]) => `${number}) SIG${name}\n`).join(''))
  }
  const [first, ...rest] = operands
  if (first === undefined) return say(interpreter, trapLines(shell))
  const isReset = first === '-' || /^\d+$/.test(first) || rest.length === 0
  const names = first === '-' || !isReset ? rest : operands
  for (const name of names) {
    const number = signalNumber(name)
    if (number === undefined) return interpreter.refuse(`trap: ${name}: bad trap`, 1)
    setTrap(interpreter, number, isReset ? undefined : first)
  }
  return 0
}

function trapLines(shell: Shell): ByteString {
  return [...shell.traps]
    .sort(([left], [right]) => left - right)
    .map(([number, body]) => `trap -- ${quotedAlways(body)} ${signalName(number) ?? 'EXIT'}\n`)
    .join('')
}

function setTrap(
  { shell, process }: Interpreter,
  number: number,
  body: ByteString | undefined,
): void {
  if (body === undefined) shell.traps.delete(number)
  else shell.traps.set(number, body)
  if (number === 0) return
  process.caught?.delete(number)
  process.ignored?.delete(number)
  if (body === undefined) return
  if (body === '') (process.ignored ??= new Set()).add(number)
  else (process.caught ??= new Set()).add(number)
}
