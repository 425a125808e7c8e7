import { fromText, type ByteString } from '../byte-string.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Mount } from '../kernel.ts'
import { formatTime } from './calendar.ts'
import { mountPoint } from './listing.ts'
import { humanSize } from './magnitude.ts'
import { findUser, groupName, userName } from './permissions.ts'

const surroundings = (invocation: Invocation) => invocation.process.kernel.surroundings

/** Facts that all simulated machines share. `/proc/version` says the same release. */
const kernelName = 'Linux'
const kernelRelease = '6.1.0-conclave'
const kernelVersion = '#1 SMP simulated'
const hardware = 'x86_64'

export const hostname: Program = (invocation) => {
  const { operands } = invocation.options('sfi')
  if (operands.length > 0) throw new ScriptFault('you must be root to change the host name', 1)
  return invocation.answer(`${fromText(surroundings(invocation).hostname)}\n`)
}

export const uname: Program = (invocation) => {
  const { flags, operands } = invocation.options('asnrvmpio', {
    all: 'a',
    'kernel-name': 's',
    nodename: 'n',
    'kernel-release': 'r',
    'kernel-version': 'v',
    machine: 'm',
    processor: 'p',
    'hardware-platform': 'i',
    'operating-system': 'o',
  })
  const [extra] = operands
  if (extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 1)
  const facts: readonly (readonly [letter: string, value: string])[] = [
    ['s', kernelName],
    ['n', fromText(surroundings(invocation).hostname)],
    ['r', kernelRelease],
    ['v', kernelVersion],
    ['m', hardware],
    ['p', 'unknown'],
    ['i', 'unknown'],
    ['o', 'GNU/Linux'],
  ]
  const isWanted = (letter: string): boolean => {
    if (flags.has('a')) return letter !== 'p' && letter !== 'i'
    return flags.size === 0 ? letter === 's' : flags.has(letter)
  }
  const shown = facts.filter(([letter]) => isWanted(letter)).map(([, value]) => value)
  return invocation.answer(`${shown.join(' ')}\n`)
}

const labelled = (number: number, label: ByteString): ByteString =>
  label === String(number) ? label : `${number}(${label})`

export const id: Program = (invocation) => {
  const { flags, operands } = invocation.options('ugGnrz', {
    user: 'u',
    group: 'g',
    groups: 'G',
    name: 'n',
    real: 'r',
    zero: 'z',
  })
  const [name] = operands
  const { credentials } = invocation.process
  let { uid, gid } = credentials
  if (name !== undefined) {
    const found = findUser(invocation, name)
    const user = surroundings(invocation).users.find((one) => one.uid === found)
    if (user === undefined) throw new ScriptFault(`'${name}': no such user`, 1)
    ;({ uid, gid } = user)
  }
  const user = userName(invocation, uid)
  const group = groupName(invocation, gid)
  const isNamed = flags.has('n')
  if (flags.has('u')) return invocation.answer(`${isNamed ? user : uid}\n`)
  if (flags.has('g') || flags.has('G')) return invocation.answer(`${isNamed ? group : gid}\n`)
  if (isNamed) throw new ScriptFault('cannot print only names or real IDs in default format', 1)
  const groupText = labelled(gid, group)
  return invocation.answer(`uid=${labelled(uid, user)} gid=${groupText} groups=${groupText}\n`)
}

export const whoami: Program = (invocation) => {
  const { uid } = invocation.process.credentials
  const name = userName(invocation, uid)
  if (name === String(uid)) throw new ScriptFault(`cannot find name for user ID ${uid}`, 1)
  return invocation.answer(`${name}\n`)
}

export const groups: Program = (invocation) =>
  invocation.answer(`${groupName(invocation, invocation.process.credentials.gid)}\n`)

/** `getent passwd` and `getent group`, from the accounts of the machine. */
export const getent: Program = (invocation) => {
  const [database, ...keys] = invocation.args
  if (database === undefined) throw new ScriptFault('wrong number of arguments', 1)
  const { users } = surroundings(invocation)
  const lines = users.map(({ name, uid, gid, home }) => ({
    name: fromText(name),
    number: database === 'group' ? gid : uid,
    line: fromText(
      database === 'group'
        ? `${name}:x:${gid}:`
        : `${name}:x:${uid}:${gid}:${name}:${home}:/bin/sh`,
    ),
  }))
  if (database !== 'passwd' && database !== 'group') {
    throw new ScriptFault(`Unknown database: ${database}`, 1)
  }
  const found =
    keys.length === 0
      ? lines
      : keys.flatMap((key) =>
          lines.filter(({ name, number }) => name === key || String(number) === key).slice(0, 1),
        )
  const status = found.length < keys.length ? 2 : 0
  return invocation.answer(found.map(({ line }) => `${line}\n`).join(''), status)
}

export const nproc: Program = (invocation) => {
  invocation.options('a', { all: 'a' })
  return invocation.answer('1\n')
}

export const uptime: Program = (invocation) => {
  const { flags } = invocation.options('ps', { pretty: 'p', since: 's' })
  const { nowMs } = invocation
  const startedAtMs = invocation.process.kernel.processes.get(1)?.startedAtMs ?? nowMs
  if (flags.has('s')) {
    return invocation.answer(`${formatTime('%Y-%m-%d %H:%M:%S', startedAtMs)}\n`)
  }
  const minutes = Math.floor((nowMs - startedAtMs) / 60_000)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (flags.has('p')) {
    return invocation.answer(`up ${hours > 0 ? `${hours} hours, ` : ''}${minutes % 60} minutes\n`)
  }
  const day = days === 0 ? '' : `${days} day${days === 1 ? '' : 's'}, `
  const clock =
    hours === 0 ? `${minutes} min` : `${hours % 24}:${String(minutes % 60).padStart(2, '0')}`
  return invocation.answer(
    ` ${formatTime('%H:%M:%S', nowMs)} up ${day}${clock},  0 users,  load average: 0.00, 0.00, 0.00\n`,
  )
}

/** `mount` shows what is mounted. What is mounted is decided outside, so it mounts nothing. */
export const mount: Program = (invocation) => {
  const { values, operands } = invocation.options('t:o:alvr', {
    types: 't',
    options: 'o',
    all: 'a',
  })
  if (operands.length > 0) {
    throw new ScriptFault(`${operands.at(-1) ?? ''}: permission denied.`, 32)
  }
  const types = values.get('t')?.at(-1)?.split(',')
  const lines = surroundings(invocation)
    .mounts()
    .filter(({ type }) => types === undefined || types.includes(fromText(type)))
    .map(({ source, at, type, options }) =>
      fromText(`${source} on ${at} type ${type} (${options})\n`),
    )
  return invocation.answer(lines.join(''))
}

export const umount: Program = (invocation) => {
  const { operands } = invocation.options('flrad')
  const [path] = operands
  if (path === undefined) throw new ScriptFault('bad usage', 1)
  const isMounted = surroundings(invocation)
    .mounts()
    .some(({ at }) => fromText(at) === path)
  throw new ScriptFault(
    `${path}: ${isMounted ? 'must be superuser to unmount' : 'not mounted'}.`,
    32,
  )
}

const mountColumns: Readonly<Record<string, (row: Mount) => string>> = {
  TARGET: ({ at }) => at,
  SOURCE: ({ source }) => source,
  FSTYPE: ({ type }) => type,
  OPTIONS: ({ options }) => options,
  SIZE: ({ sizeBytes }) => (sizeBytes === undefined ? '' : humanSize(sizeBytes)),
  USED: ({ usedBytes }) => (usedBytes === undefined ? '' : humanSize(usedBytes)),
  AVAIL: ({ sizeBytes, usedBytes }) =>
    sizeBytes === undefined ? '' : humanSize(sizeBytes - (usedBytes ?? 0)),
}

/** A mount with the branch that `findmnt` draws in front of it. */
interface Branch {
  readonly row: Mount
  readonly lead: string
}

function branches(mounts: readonly Mount[], isList: boolean): readonly Branch[] {
  if (isList) return mounts.map((row) => ({ row, lead: '' }))
  const parentOf = (row: Mount): Mount | undefined => {
    const above = mounts.filter(({ at }) => {
      const base = at.endsWith('/') ? at : `${at}/`
      return at !== row.at && row.at.startsWith(base)
    })
    return above.toSorted((one, two) => two.at.length - one.at.length)[0]
  }
  const drawn: Branch[] = []
  const draw = (parent: Mount | undefined, indent: string, depth: number): void => {
    const children = mounts.filter((row) => parentOf(row) === parent)
    for (const [index, row] of children.entries()) {
      const isLast = index === children.length - 1
      drawn.push({ row, lead: depth === 0 ? '' : `${indent}${isLast ? '└─' : '├─'}` })
      draw(row, depth === 0 ? '' : `${indent}${isLast ? '  ' : '│ '}`, depth + 1)
    }
  }
  draw(undefined, '', 0)
  return drawn
}

export const findmnt: Program = (invocation) => {
  const { flags, values, operands } = invocation.options('nlro:t:T:Dub', {
    noheadings: 'n',
    list: 'l',
    raw: 'r',
    output: 'o',
    types: 't',
    target: 'T',
    df: 'D',
  })
  const names = (values.get('o')?.at(-1) ?? 'TARGET,SOURCE,FSTYPE,OPTIONS').toUpperCase().split(',')
  for (const name of names) {
    if (!Object.hasOwn(mountColumns, name)) throw new ScriptFault(`unknown column: ${name}`, 1)
  }
  const types = values.get('t')?.at(-1)?.split(',')
  const inside = values.get('T')?.at(-1)
  const target = inside === undefined ? operands[0] : mountPoint(invocation, inside)
  const mounts = surroundings(invocation)
    .mounts()
    .filter(({ type }) => types === undefined || types.includes(type))
    .filter(
      ({ at, source }) =>
        target === undefined || fromText(at) === target || fromText(source) === target,
    )
  if (mounts.length === 0) return 1
  const isList = flags.has('l') || flags.has('r') || target !== undefined || types !== undefined
  const rows = branches(mounts, isList).map(({ row, lead }) =>
    names.map((name) => (name === 'TARGET' ? lead : '') + (mountColumns[name]?.(row) ?? '')),
  )
  if (!flags.has('n')) rows.unshift(names)
  return invocation.answer(
    fromText(flags.has('r') ? rows.map((row) => `${row.join(' ')}\n`).join('') : table(rows)),
  )
}

/** Rows as columns of equal width, the last one ragged. */
function table(
  rows: readonly (readonly string[])[],
  rightAligned: ReadonlySet<number> = new Set(),
): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries())
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, index) => {
        const width = widths[index] ?? 0
        if (rightAligned.has(index)) return cell.padStart(width)
        return index === row.length - 1 ? cell : cell.padEnd(width)
      })
      return `${cells.join(' ')}\n`
    })
    .join('')
}

export const df: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('hHkmPTait:x:l', {
    'human-readable': 'h',
    portability: 'P',
    'print-type': 'T',
    all: 'a',
    inodes: 'i',
    type: 't',
    'exclude-type': 'x',
    local: 'l',
  })
  if (flags.has('i')) throw new ScriptFault("invalid option -- 'i'", 1)
  const all = surroundings(invocation).mounts()
  let status = 0
  let chosen = all.filter(({ sizeBytes }) => flags.has('a') || (sizeBytes ?? 0) > 0)
  if (operands.length > 0) {
    const named: Mount[] = []
    for (const path of operands) {
      try {
        invocation.files.stat(path)
        const at = mountPoint(invocation, path)
        const found = all.find((one) => fromText(one.at) === at)
        if (found !== undefined) named.push(found)
      } catch (refusal) {
        yield* invocation.complain(complaint(refusal, path))
        status = 1
      }
    }
    chosen = named
  }
  const types = values.get('t')
  const excluded = values.get('x')
  chosen = chosen.filter(
    ({ type }) => (types?.includes(type) ?? true) && !(excluded?.includes(type) ?? false),
  )
  if (chosen.length === 0) {
    return status !== 0 ? status : yield* invocation.fail('no file systems processed')
  }
  const unit = flags.has('m') ? 1_048_576 : 1024
  const show = (sizeBytes: number): string =>
    flags.has('h') || flags.has('H') ? humanSize(sizeBytes) : String(Math.ceil(sizeBytes / unit))
  const isHuman = flags.has('h') || flags.has('H')
  const isPortable = flags.has('P')
  const sizeTitle = isHuman
    ? 'Size'
    : isPortable
      ? '1024-blocks'
      : flags.has('m')
        ? '1M-blocks'
        : '1K-blocks'
  const head = [
    'Filesystem',
    'Type',
    sizeTitle,
    'Used',
    isHuman ? 'Avail' : 'Available',
    isPortable ? 'Capacity' : 'Use%',
    'Mounted on',
  ]
  const rows = chosen.map(({ source, type, at, sizeBytes = 0, usedBytes = 0 }) => {
    const percent = sizeBytes === 0 ? '-' : `${Math.ceil((usedBytes / sizeBytes) * 100)}%`
    // `df` gives the first column fourteen places whatever is in it.
    return [
      source.padEnd(14),
      type,
      show(sizeBytes),
      show(usedBytes),
      show(sizeBytes - usedBytes),
      percent,
      at,
    ]
  })
  const drop = flags.has('T') ? -1 : 1
  const shown = [head, ...rows].map((row) => row.filter((_, index) => index !== drop))
  const first = flags.has('T') ? 2 : 1
  invocation.put(fromText(table(shown, new Set([first, first + 1, first + 2, first + 3]))))
  return status
}
