import { bytesOf, type ByteString } from '../byte-string.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { writeAll } from '../io.ts'
import { environmentValue, type Environment } from '../kernel.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { exitCodeOfSignal, signal, signalNumber } from '../signals.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'
import { leadingOptions, withArguments } from './arguments.ts'
import { startChild } from './children.ts'
import { seconds } from './sleep.ts'

/** Lets a program take the place of this one, as `execve` does. It keeps its descriptors. */
export function* replaceBy(
  invocation: Invocation,
  argv: readonly ByteString[],
  environment: Environment = invocation.environment,
): Task<number> {
  const { process, programs } = invocation
  const path = environment.get('PATH')
  const found = programs.resolve(
    process,
    argv,
    path === undefined ? undefined : environmentValue(path),
  )
  if (!found.isFound) {
    const [name = ''] = argv
    const why = found.status === 127 ? 'No such file or directory' : found.why
    return yield* invocation.fail(`'${name}': ${why}`, found.status)
  }
  yield* invocation.flush()
  process.argv = argv
  process.environment = environment
  return yield* found.run(process)
}

export const env: Program = function* (invocation) {
  const { flags, values, operands } = leadingOptions(invocation, 'i0u:C:S:', {
    'ignore-environment': 'i',
    null: '0',
    unset: 'u',
    chdir: 'C',
    'split-string': 'S',
  })
  const words = [...(values.get('S') ?? []).flatMap((text) => text.split(/[ \t]+/)), ...operands]
  // A lone `-` is the old way to say `-i`.
  const isEmpty = words[0] === '-' || flags.has('i')
  if (words[0] === '-') words.shift()
  const environment: Environment = isEmpty ? new Map() : new Map(invocation.environment)
  for (const name of values.get('u') ?? []) environment.delete(name)
  while (words[0]?.includes('=')) {
    const word = words.shift() ?? ''
    const cut = word.indexOf('=')
    environment.set(word.slice(0, cut), word.slice(cut + 1))
  }
  const directory = values.get('C')?.at(-1)
  if (directory !== undefined) {
    if (words.length === 0) throw new ScriptFault('must specify command with --chdir (-C)', 125)
    try {
      if (invocation.files.stat(directory).kind !== 'directory') {
        throw new ScriptFault(`cannot change directory to '${directory}': Not a directory`, 125)
      }
      invocation.process.cwd = invocation.files.realPath(directory)
    } catch (refusal) {
      if (refusal instanceof ScriptFault) throw refusal
      throw new ScriptFault(`cannot change directory to '${directory}': ${complaint(refusal)}`, 125)
    }
  }
  if (words.length > 0) return yield* replaceBy(invocation, words, environment)
  const end = flags.has('0') ? '\0' : '\n'
  for (const [name, value] of environment) {
    yield* putVariable(invocation, `${name}=`, value, end)
  }
  return 0
}

/** Writes a variable; a value that is still bytes passes through as bytes. */
function* putVariable(
  invocation: Invocation,
  lead: ByteString,
  value: ByteString | Uint8Array,
  end: ByteString,
): Task<void> {
  invocation.put(lead)
  if (typeof value === 'string') invocation.put(value)
  else yield* invocation.write(value.slice())
  invocation.put(end)
  if (invocation.isFull) yield* drain(invocation)
}

export const printenv: Program = function* (invocation) {
  const { flags, operands } = leadingOptions(invocation, '0', { null: '0' })
  const end = flags.has('0') ? '\0' : '\n'
  let status = 0
  if (operands.length === 0) {
    for (const [name, value] of invocation.environment) {
      yield* putVariable(invocation, `${name}=`, value, end)
    }
  }
  for (const name of operands) {
    const value = invocation.environment.get(name)
    if (value === undefined) status = 1
    else yield* putVariable(invocation, '', value, end)
  }
  return status
}

/** `which`: where a program is, by the directories of `PATH`. */
export const which: Program = function* (invocation) {
  const { flags, operands } = invocation.options('as', { all: 'a' })
  const path = invocation.environment.get('PATH')
  const directories = environmentValue(path ?? '').split(':')
  let status = operands.length === 0 ? 1 : 0
  for (const name of operands) {
    const candidates = name.includes('/')
      ? [name]
      : directories.map((one) => `${one === '' ? '.' : one}/${name}`)
    const found = candidates.filter((candidate) => {
      const stat = invocation.files.statIfThere(candidate)
      return stat?.kind === 'file' && invocation.files.mayAccess(stat, 1)
    })
    if (found.length === 0) status = 1
    for (const one of flags.has('a') ? found : found.slice(0, 1)) {
      if (!flags.has('s')) invocation.put(`${one}\n`)
    }
    yield
  }
  return status
}

export const nohup: Program = function* (invocation) {
  const { operands } = leadingOptions(invocation, '')
  if (operands.length === 0) throw new ScriptFault('missing operand', 125)
  const { process } = invocation
  process.ignored ??= new Set()
  process.ignored.add(signal.hup)
  return yield* replaceBy(invocation, operands)
}

/** `nice`: there is nobody to be nice to, since every process gets the same share. */
export const nice: Program = function* (invocation) {
  const args = invocation.args.map((arg) => (/^-\d+$/.test(arg) ? `-n${arg.slice(1)}` : arg))
  const { operands, values } = leadingOptions(withArguments(invocation, args), 'n:', {
    adjustment: 'n',
  })
  const amount = values.get('n')?.at(-1) ?? '10'
  if (!/^-?\d{1,3}$/.test(amount)) throw new ScriptFault(`invalid adjustment '${amount}'`, 125)
  if (operands.length > 0) return yield* replaceBy(invocation, operands)
  invocation.put('0\n')
  return 0
}

/** `timeout DURATION COMMAND`: 124 when the time was up, as coreutils has it. */
export const timeout: Program = function* (invocation) {
  const { flags, values, operands } = leadingOptions(invocation, 's:k:fpv', {
    signal: 's',
    'kill-after': 'k',
    foreground: 'f',
    'preserve-status': 'p',
    verbose: 'v',
  })
  const [duration, ...argv] = operands
  if (duration === undefined || argv.length === 0) throw new ScriptFault('missing operand', 125)
  const waitSeconds = seconds(duration)
  if (waitSeconds === undefined) throw new ScriptFault(`invalid time interval '${duration}'`, 125)
  const name = values.get('s')?.at(-1) ?? 'TERM'
  const number = signalNumber(name)
  if (number === undefined) throw new ScriptFault(`'${name}': invalid signal`, 125)
  const after = values.get('k')?.at(-1)
  const killSeconds = after === undefined ? undefined : seconds(after)
  if (after !== undefined && killSeconds === undefined) {
    throw new ScriptFault(`invalid time interval '${after}'`, 125)
  }
  const child = startChild(invocation, argv)
  if (typeof child === 'string') {
    return yield* invocation.fail(
      `failed to run command '${argv[0] ?? ''}': ${child}`,
      child.startsWith('No such') ? 127 : 126,
    )
  }
  const { kernel } = invocation.process
  const waitUntil = function* (untilMs: number): Task<boolean> {
    while (child.status === undefined && invocation.nowMs < untilMs) {
      yield { untilMs, on: child.ended }
    }
    return child.status !== undefined
  }
  try {
    const untilMs = waitSeconds === 0 ? Infinity : invocation.nowMs + waitSeconds * 1000
    if (untilMs === Infinity) while (child.status === undefined) yield child.ended
    else if (!(yield* waitUntil(untilMs))) {
      if (flags.has('v'))
        yield* invocation.complain(`sending signal ${name} to command '${argv[0] ?? ''}'`)
      kernel.signal(child, number)
      if (killSeconds !== undefined && !(yield* waitUntil(invocation.nowMs + killSeconds * 1000))) {
        kernel.signal(child, signal.kill)
      }
      while (child.status === undefined) yield child.ended
      const { status } = child
      if (status.signal === signal.kill) return exitCodeOfSignal(signal.kill)
      return flags.has('p') ? status.exitCode : 124
    }
    return child.status?.exitCode ?? 0
  } finally {
    if (child.status === undefined) kernel.signal(child, signal.term)
  }
}

/** `time`: what it took on the machine's clock. */
export const time: Program = function* (invocation) {
  const { operands } = leadingOptions(invocation, 'p', { portability: 'p' })
  const startedAtMs = invocation.nowMs
  const status = operands.length === 0 ? 0 : yield* invocation.run(operands)
  const elapsed = ((invocation.nowMs - startedAtMs) / 1000).toFixed(2)
  yield* writeAll(invocation.process, 2, bytesOf(`real ${elapsed}\nuser 0.00\nsys 0.00\n`))
  return status
}
