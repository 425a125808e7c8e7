import { bytesOf, type ByteString } from '../byte-string.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import type { Process } from '../kernel.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { baseName } from '../paths.ts'
import { compileRegex, RegexMalformed } from '../regex/posix.ts'
import type { Regex } from '../regex/regex.ts'
import { signalName, signalNumber, signals } from '../signals.ts'
import { withArguments } from './arguments.ts'
import { formatTime } from './calendar.ts'
import { writeInto } from './lines.ts'
import { userName } from './permissions.ts'

const terminalOf = ({ descriptions }: Process): string =>
  descriptions.find((open) => open?.terminal !== undefined) === undefined ? '?' : 'pts/0'

/** Signals by name or number, to processes by pid; 0 is the group, -1 everybody, -n group n. */
export const kill: Program = function* (invocation) {
  const args = [...invocation.args]
  const [first = ''] = args
  if (first === '-l' || first === '-L') {
    invocation.put(listSignals(args.slice(1)))
    return 0
  }
  let name = 'TERM'
  if (first === '-s' || first === '-n') {
    args.shift()
    name = args.shift() ?? ''
  } else if (/^-[A-Za-z0-9]/.test(first)) name = (args.shift() ?? '').slice(1)
  if (args[0] === '--') args.shift()
  const number = signalNumber(name)
  if (number === undefined || (number === 0 && name !== '0')) {
    throw new ScriptFault(`${name}: invalid signal specification`, 1)
  }
  if (args.length === 0)
    throw new ScriptFault('usage: kill [-s sigspec | -signum | -sigspec] pid ...', 2)
  let status = 0
  for (const text of args) {
    if (!/^-?\d{1,9}$/.test(text)) {
      yield* invocation.complain(`Illegal pid: ${text}`)
      status = 1
      continue
    }
    const found = addressed(invocation, Number(text))
    if (found.length === 0) {
      yield* invocation.complain(`(${text}) - No such process`)
      status = 1
      continue
    }
    const { uid } = invocation.process.credentials
    const own = found.filter((process) => uid === 0 || process.credentials.uid === uid)
    if (own.length === 0) {
      yield* invocation.complain(`(${text}) - Operation not permitted`)
      status = 1
    }
    for (const process of own) invocation.process.kernel.signal(process, number)
  }
  return status
}

function addressed(invocation: Invocation, pid: number): readonly Process[] {
  const { kernel, group } = invocation.process
  if (pid > 0) {
    const process = kernel.processes.get(pid)
    return process === undefined ? [] : [process]
  }
  const all = [...kernel.processes.values()]
  if (pid === -1)
    return all.filter((process) => process.pid !== 1 && process !== invocation.process)
  return all.filter((process) => process.group === (pid === 0 ? group : -pid))
}

/** All names, or the names of numbers and the numbers of names. Exit codes stand for their signal. */
function listSignals(words: readonly ByteString[]): ByteString {
  if (words.length === 0) return `${signals.map(([, name]) => name).join(' ')}\n`
  return words
    .map((word) => {
      const found = /^\d{1,9}$/.test(word)
        ? signalName(Number(word) > 128 ? Number(word) - 128 : Number(word))
        : signalNumber(word)
      if (found === undefined) throw new ScriptFault(`${word}: invalid signal specification`, 1)
      return `${found}\n`
    })
    .join('')
}

export const pgrep: Program = function* (invocation) {
  const isKilling = invocation.name === 'pkill'
  const args = [...invocation.args]
  let number = 15
  const named =
    isKilling && /^-[A-Z0-9]+$/.test(args[0] ?? '')
      ? signalNumber((args[0] ?? '').slice(1))
      : undefined
  if (named !== undefined) {
    number = named
    args.shift()
  }
  const { flags, operands } = withArguments(invocation, args).options('flxa', {
    full: 'f',
    exact: 'x',
  })
  const [pattern] = operands
  if (pattern === undefined) throw new ScriptFault('no matching criteria specified', 2)
  const regex = compiled(pattern)
  let count = 0
  for (const process of Array.from(invocation.process.kernel.processes.values())) {
    if (process === invocation.process) continue
    const text = flags.has('f') ? process.argv.join(' ') : commandName(process)
    const match = yield* regex.search(text)
    if (match === undefined) continue
    if (flags.has('x') && (match.start > 0 || match.end < text.length)) continue
    count++
    if (isKilling) invocation.process.kernel.signal(process, number)
    else {
      const label = flags.has('a')
        ? ` ${process.argv.join(' ')}`
        : flags.has('l')
          ? ` ${commandName(process)}`
          : ''
      invocation.put(`${process.pid}${label}\n`)
    }
  }
  return count === 0 ? 1 : 0
}

function compiled(pattern: ByteString): Regex {
  try {
    return compileRegex(pattern, 'extended')
  } catch (refusal) {
    if (refusal instanceof RegexMalformed) throw new ScriptFault(refusal.message, 2)
    throw refusal
  }
}

const commandName = (process: Process): ByteString => baseName(process.argv[0] ?? '').slice(0, 15)

/** A column of `ps`: its title, how it is set, what it shows. */
interface Column {
  readonly title: string
  readonly isLeft?: boolean
  readonly width: number
  readonly show: (process: Process, invocation: Invocation) => ByteString
}

const parentPid = (process: Process): number => process.parent?.pid ?? (process.pid === 1 ? 0 : 1)

const state = (process: Process): string =>
  process.isStopped ? 'T' : process.isBlocked ? 'S' : 'R'

const args = (process: Process): ByteString => process.argv.join(' ')

const started = (process: Process): ByteString => formatTime('%H:%M', process.startedAtMs)

const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')

function elapsed(process: Process, invocation: Invocation): string {
  const seconds = Math.max(0, Math.floor((invocation.nowMs - process.startedAtMs) / 1000))
  const clock = `${two((seconds / 60) % 60)}:${two(seconds % 60)}`
  const hours = Math.floor(seconds / 3600)
  if (hours === 0) return clock
  const days = Math.floor(hours / 24)
  return `${days > 0 ? `${days}-` : ''}${two(hours % 24)}:${clock}`
}

const columns: Readonly<Record<string, Column>> = {
  user: {
    title: 'USER',
    isLeft: true,
    width: 8,
    show: ({ credentials }, invocation) => userName(invocation, credentials.uid),
  },
  ruser: {
    title: 'UID',
    isLeft: true,
    width: 8,
    show: ({ credentials }, invocation) => userName(invocation, credentials.uid),
  },
  uid: { title: 'UID', width: 5, show: ({ credentials }) => String(credentials.uid) },
  gid: { title: 'GID', width: 5, show: ({ credentials }) => String(credentials.gid) },
  pid: { title: 'PID', width: 7, show: ({ pid }) => String(pid) },
  ppid: { title: 'PPID', width: 7, show: (process) => String(parentPid(process)) },
  pgid: { title: 'PGID', width: 7, show: ({ group }) => String(group) },
  '%cpu': { title: '%CPU', width: 4, show: () => '0.0' },
  c: { title: 'C', width: 2, show: () => '0' },
  '%mem': { title: '%MEM', width: 4, show: () => '0.0' },
  vsz: { title: 'VSZ', width: 6, show: () => '0' },
  rss: { title: 'RSS', width: 5, show: () => '0' },
  tty: { title: 'TTY', isLeft: true, width: 8, show: terminalOf },
  stat: { title: 'STAT', isLeft: true, width: 4, show: state },
  s: { title: 'S', width: 1, show: state },
  stime: { title: 'STIME', width: 5, show: started },
  start: { title: 'START', isLeft: true, width: 5, show: started },
  etime: { title: 'ELAPSED', width: 11, show: elapsed },
  time: { title: 'TIME', width: 8, show: () => '00:00:00' },
  'short-time': { title: 'TIME', width: 6, show: () => '0:00' },
  comm: { title: 'CMD', isLeft: true, width: 0, show: commandName },
  command: { title: 'COMMAND', isLeft: true, width: 0, show: args },
  cmd: { title: 'CMD', isLeft: true, width: 0, show: args },
}

const aliases: Readonly<Record<string, string>> = {
  args: 'command',
  euser: 'user',
  pcpu: '%cpu',
  pmem: '%mem',
  ucmd: 'comm',
  state: 's',
  tt: 'tty',
  tname: 'tty',
}

function chosenColumns(formats: readonly ByteString[]): readonly Column[] {
  return formats.flatMap((format) =>
    format.split(/[, ]+/).map((word) => {
      const [name = '', title] = word.split('=')
      const key = Object.hasOwn(aliases, name) ? (aliases[name] ?? name) : name
      const column = Object.hasOwn(columns, key) ? columns[key] : undefined
      if (column === undefined)
        throw new ScriptFault(`unknown user-defined format specifier "${name}"`, 1)
      const usual = name === 'comm' || name === 'args' ? 'COMMAND' : column.title
      return { ...column, title: title ?? usual }
    }),
  )
}

export const ps: Program = (invocation) => {
  const words = invocation.args.map((arg) => (/^[auxwef]+$/.test(arg) ? `-${arg}` : arg))
  const isBsd = words.some((word, index) => word !== invocation.args[index])
  const { flags, values, operands } = withArguments(invocation, words).options('AaedfuxwlTo:p:C:', {
    format: 'o',
    pid: 'p',
  })
  const formats = values.get('o')
  const names =
    formats !== undefined
      ? undefined
      : isBsd && flags.has('u')
        ? 'user,pid,%cpu,%mem,vsz,rss,tty,stat,start,short-time,command'
        : isBsd
          ? 'pid,tty,stat,short-time,command'
          : flags.has('f')
            ? 'ruser,pid,ppid,c,stime,tty,time,cmd'
            : 'pid,tty,time,comm'
  const chosen = chosenColumns(formats ?? [names ?? ''])
  if (names === 'pid,tty,time,comm') Object.assign(chosen[3] ?? {}, { title: 'CMD' })
  const pids = [...(values.get('p') ?? []), ...operands]
    .flatMap((text) => text.split(','))
    .map(Number)
  const isAll = isBsd || ['A', 'e', 'a', 'd', 'x'].some((letter) => flags.has(letter))
  const { uid } = invocation.process.credentials
  const shown = [...invocation.process.kernel.processes.values()].filter((process) => {
    if (pids.length > 0) return pids.includes(process.pid)
    return isAll || process.credentials.uid === uid
  })
  const rows = shown.map((process) => chosen.map((column) => column.show(process, invocation)))
  const hasTitles = chosen.some(({ title }) => title !== '')
  const text = (hasTitles ? [chosen.map(({ title }) => title), ...rows] : rows)
    .map((row) => setRow(row, chosen, rows))
    .join('')
  return invocation.answer(text, shown.length === 0 ? 1 : 0)
}

function setRow(
  row: readonly ByteString[],
  chosen: readonly Column[],
  rows: readonly (readonly ByteString[])[],
): ByteString {
  const cells = chosen.map(({ title, width, isLeft }, index) => {
    const widest = Math.max(width, title.length, ...rows.map((one) => one[index]?.length ?? 0))
    const cell = row[index] ?? ''
    if (isLeft !== true) return cell.padStart(widest)
    return index === chosen.length - 1 ? cell : cell.padEnd(widest)
  })
  return `${cells.join(' ')}\n`
}

/** `tee`: what comes in goes out, and into files. */
export const tee: Program = function* (invocation) {
  const { flags, operands } = invocation.options('aip', { append: 'a', 'ignore-interrupts': 'i' })
  const outputs = []
  let status = 0
  for (const path of operands) {
    try {
      const how = { write: true, create: true, append: flags.has('a'), truncate: !flags.has('a') }
      outputs.push({ path, output: invocation.files.open(path, how).retain() })
    } catch (refusal) {
      yield* invocation.complain(complaint(refusal, path))
      status = 1
    }
  }
  try {
    for (;;) {
      const bytes = yield* invocation.read(invocation.stdin)
      if (bytes.length === 0) return status
      for (const { output } of outputs) yield* writeInto(output, bytes.slice())
      yield* invocation.write(bytes)
      yield
    }
  } finally {
    for (const { output } of outputs) output.release()
  }
}

/** `yes`: the same line for ever, or until nobody reads it. */
export const yes: Program = function* (invocation) {
  const words = invocation.args[0] === '--' ? invocation.args.slice(1) : invocation.args
  const line = `${words.length === 0 ? 'y' : words.join(' ')}\n`
  const lines = line.repeat(Math.max(1, Math.floor(8192 / line.length)))
  for (;;) {
    yield* invocation.write(bytesOf(lines))
    yield
  }
}
