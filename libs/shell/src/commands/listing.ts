import type { ByteString } from '../byte-string.ts'
import type { FileStat } from '../file-system.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { baseName, parentPath } from '../paths.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'
import { leadingOptions, withArguments } from './arguments.ts'
import { formatTime } from './calendar.ts'
import { humanSize } from './magnitude.ts'
import { pad, unescape } from './printf.ts'
import { isDevice } from './test.ts'
import { groupName, modeText, userName } from './permissions.ts'

interface Entry {
  readonly name: ByteString
  readonly path: ByteString
  readonly stat: FileStat
}

const letters = 'laAdR1hnrtSFpiLGgos'

const below = (directory: ByteString, name: ByteString): ByteString =>
  directory.endsWith('/') ? directory + name : `${directory}/${name}`

/** `ls`. Its output never goes to a terminal, so it is one name a line without colours. */
export const ls: Program = function* (invocation) {
  const args = invocation.args.filter((arg) => !/^--colou?r(=\w+)?$/.test(arg))
  const { flags, operands } = withArguments(invocation, args).options(`${letters}CxUv`, {
    all: 'a',
    'almost-all': 'A',
    directory: 'd',
    recursive: 'R',
    'human-readable': 'h',
    'numeric-uid-gid': 'n',
    reverse: 'r',
    classify: 'F',
    inode: 'i',
    dereference: 'L',
    'no-group': 'G',
    size: 's',
  })
  const lister = new Lister(invocation, flags)
  return yield* lister.list(operands.length === 0 ? ['.'] : operands)
}

class Lister {
  readonly #invocation: Invocation
  readonly #flags: ReadonlySet<string>
  #status = 0
  #isFirst = true

  constructor(invocation: Invocation, flags: ReadonlySet<string>) {
    this.#invocation = invocation
    this.#flags = flags
  }

  get #isLong(): boolean {
    return ['l', 'n', 'g', 'o'].some((letter) => this.#flags.has(letter))
  }

  *list(operands: readonly ByteString[]): Task<number> {
    const files: Entry[] = []
    const directories: Entry[] = []
    for (const path of operands) {
      const entry = yield* this.#entry(path)
      if (entry === undefined) continue
      const isListed = entry.stat.kind === 'directory' && !this.#flags.has('d')
      ;(isListed ? directories : files).push(entry)
    }
    this.#put(this.#sorted(files))
    if (files.length > 0) this.#isFirst = false
    const hasTitles = operands.length > 1 || this.#flags.has('R')
    for (const { path } of this.#sorted(directories)) yield* this.#directory(path, hasTitles)
    return this.#status
  }

  *#entry(path: ByteString): Task<Entry | undefined> {
    const { files } = this.#invocation
    // A link given as operand is looked through unless it is to be shown itself.
    const follows =
      this.#flags.has('L') || !(this.#isLong || this.#flags.has('d') || this.#flags.has('F'))
    try {
      const stat = follows
        ? (files.statIfThere(path) ?? files.stat(path, false))
        : files.stat(path, false)
      return { name: path, path, stat }
    } catch (refusal) {
      yield* this.#refused(`cannot access '${path}': ${complaint(refusal)}`, 2)
      return undefined
    }
  }

  *#directory(path: ByteString, hasTitle: boolean): Task<void> {
    const { files } = this.#invocation
    let names: ByteString[]
    try {
      names = files.list(path)
    } catch (refusal) {
      yield* this.#refused(`cannot open directory '${path}': ${complaint(refusal)}`, 2)
      return
    }
    if (hasTitle) this.#invocation.put(`${this.#isFirst ? '' : '\n'}${path}:\n`)
    this.#isFirst = false
    const isAll = this.#flags.has('a')
    const shown =
      isAll || this.#flags.has('A') ? names : names.filter((name) => !name.startsWith('.'))
    const entries: Entry[] = []
    for (const name of isAll ? ['.', '..', ...shown] : shown) {
      const at = below(path, name)
      const follows = this.#flags.has('L')
      const stat = files.statIfThere(at, follows) ?? files.statIfThere(at, false)
      if (stat !== undefined) entries.push({ name, path: at, stat })
      else yield* this.#refused(`cannot access '${at}': No such file or directory`, 1)
    }
    const sorted = this.#sorted(entries)
    if (this.#isLong) {
      const blocks = sorted.reduce((sum, { stat }) => sum + blocksOf(stat), 0)
      this.#invocation.put(`total ${this.#flags.has('h') ? humanSize(blocks * 1024) : blocks}\n`)
    }
    this.#put(sorted)
    if (this.#invocation.isFull) yield* drain(this.#invocation)
    yield
    if (!this.#flags.has('R')) return
    for (const { name, path: at, stat } of sorted) {
      if (stat.kind === 'directory' && name !== '.' && name !== '..')
        yield* this.#directory(at, true)
    }
  }

  #sorted(entries: readonly Entry[]): readonly Entry[] {
    const byName = (one: Entry, two: Entry): number =>
      one.name < two.name ? -1 : one.name > two.name ? 1 : 0
    const compare = this.#flags.has('S')
      ? (one: Entry, two: Entry): number =>
          two.stat.sizeBytes - one.stat.sizeBytes || byName(one, two)
      : this.#flags.has('t')
        ? (one: Entry, two: Entry): number =>
            two.stat.modifiedAtMs - one.stat.modifiedAtMs || byName(one, two)
        : byName
    const sorted = this.#flags.has('U') ? [...entries] : entries.toSorted(compare)
    return this.#flags.has('r') ? sorted.toReversed() : sorted
  }

  #put(entries: readonly Entry[]): void {
    const rows = entries.map((entry) => this.#columns(entry))
    const widths: number[] = []
    for (const { columns } of rows) {
      for (const [index, column] of columns.entries()) {
        widths[index] = Math.max(widths[index] ?? 0, column.text.length)
      }
    }
    for (const { columns, last } of rows) {
      const cells = columns.map(({ text, isLeft }, index) =>
        isLeft ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0),
      )
      this.#invocation.put(`${[...cells, last].join(' ')}\n`)
    }
  }

  #columns(entry: Entry): {
    readonly columns: readonly { readonly text: ByteString; readonly isLeft: boolean }[]
    readonly last: ByteString
  } {
    const { stat, name, path } = entry
    const flags = this.#flags
    const columns: { text: ByteString; isLeft: boolean }[] = []
    const put = (text: ByteString, isLeft = false): void => void columns.push({ text, isLeft })
    if (flags.has('i')) put(String(stat.inode))
    if (flags.has('s')) put(String(blocksOf(stat)))
    if (!this.#isLong) return { columns, last: name + this.#mark(stat) }
    const isNode = isDevice(this.#invocation.files, path)
    put(isNode ? `c${modeText(stat).slice(1)}` : modeText(stat), true)
    put(String(stat.links))
    const isNumeric = flags.has('n')
    if (!flags.has('g')) {
      put(isNumeric ? String(stat.uid) : userName(this.#invocation, stat.uid), true)
    }
    if (!flags.has('o') && !flags.has('G')) {
      put(isNumeric ? String(stat.gid) : groupName(this.#invocation, stat.gid), true)
    }
    put(flags.has('h') ? humanSize(stat.sizeBytes) : String(stat.sizeBytes))
    put(this.#time(stat.modifiedAtMs))
    const isLink = stat.kind === 'symlink'
    const target = isLink ? ` -> ${this.#invocation.files.readlink(path)}` : this.#mark(stat)
    return { columns, last: name + target }
  }

  #mark(stat: FileStat): string {
    if (stat.kind === 'directory') return this.#flags.has('F') || this.#flags.has('p') ? '/' : ''
    if (!this.#flags.has('F')) return ''
    if (stat.kind === 'symlink') return '@'
    return (stat.mode & 0o111) === 0 ? '' : '*'
  }

  /** Files of the last half year show the hour, all others the year. */
  #time(atMs: number): ByteString {
    const ageMs = this.#invocation.nowMs - atMs
    const isRecent = ageMs >= 0 && ageMs < halfYearMs
    return formatTime(isRecent ? '%b %e %H:%M' : '%b %e  %Y', atMs)
  }

  *#refused(message: ByteString, status: number): Task<void> {
    this.#status = Math.max(this.#status, status)
    yield* this.#invocation.flush()
    yield* this.#invocation.complain(message)
  }
}

const halfYearMs = 15_778_476_000

/** Blocks of 1024 bytes that a file takes; tmpfs hands out pages of four. */
export const blocksOf = (stat: FileStat): number =>
  stat.kind === 'symlink' ? 0 : Math.ceil(stat.sizeBytes / 4096) * 4

export const stat: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('Lc:tP:', {
    dereference: 'L',
    format: 'c',
    printf: 'P',
    terse: 't',
  })
  if (operands.length === 0) throw new ScriptFault('missing operand', 1)
  const printf = values.get('P')?.at(-1)
  const format = values.get('c')?.at(-1)
  const terse = flags.has('t') ? '%n %s %b %f %u %g %D %i %h 0 0 %X %Y %Z %W %o' : undefined
  let status = 0
  for (const path of operands) {
    try {
      const found = invocation.files.stat(path, flags.has('L'))
      const text =
        printf === undefined ? `${format ?? terse ?? plainFormat}\n` : unescape(printf, false).text
      invocation.put(statText(invocation, text, path, found))
    } catch (refusal) {
      yield* invocation.flush()
      yield* invocation.complain(`cannot statx '${path}': ${complaint(refusal)}`)
      status = 1
    }
  }
  return status
}

const plainFormat = `  File: %N
  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F
Device: %Hd,%Ld\tInode: %-11i Links: %h
Access: (%04a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)
Access: %x
Modify: %y
Change: %z
 Birth: %w`

const kindNames = { file: 'regular file', directory: 'directory', symlink: 'symbolic link' }

const kindBits = { file: 0o100000, directory: 0o040000, symlink: 0o120000 }

function statText(
  invocation: Invocation,
  format: ByteString,
  path: ByteString,
  found: FileStat,
): ByteString {
  return format.replace(
    /%([-0#+ ]*)(\d*)(?:\.(\d+))?([HL]?[a-zA-Z%])/g,
    (whole, flags: string, width: string, _precision: string | undefined, letter: string) => {
      const text = statField(invocation, letter, path, found)
      if (text === undefined) throw new ScriptFault(`'${whole}': invalid directive`, 1)
      const shape = { flags, width: Math.min(Number(width), 1000), precision: undefined }
      return pad(text, shape, /^\d+$/.test(text))
    },
  )
}

function statField(
  invocation: Invocation,
  letter: string,
  path: ByteString,
  found: FileStat,
): ByteString | undefined {
  switch (letter) {
    case 'a':
      return found.mode.toString(8)
    case 'A':
      return isDevice(invocation.files, path) ? `c${modeText(found).slice(1)}` : modeText(found)
    case 'b':
      return String(blocksOf(found) * 2)
    case 'B':
      return '512'
    case 'd':
      return String(found.device)
    case 'D':
      return found.device.toString(16)
    case 'Hd':
      return '0'
    case 'Ld':
      return String(found.device)
    case 'f':
      return (kindBits[found.kind] | found.mode).toString(16)
    case 'F':
      if (isDevice(invocation.files, path)) return 'character special file'
      return found.kind === 'file' && found.sizeBytes === 0
        ? 'regular empty file'
        : kindNames[found.kind]
    case 'g':
      return String(found.gid)
    case 'G':
      return groupName(invocation, found.gid)
    case 'h':
      return String(found.links)
    case 'i':
      return String(found.inode)
    case 'm':
      return mountPoint(invocation, path)
    case 'n':
      return path
    case 'N':
      return found.kind === 'symlink'
        ? `'${path}' -> '${invocation.files.readlink(path)}'`
        : `'${path}'`
    case 'o':
      return '4096'
    case 's':
      return String(found.sizeBytes)
    case 't':
    case 'T':
    case 'W':
      return '0'
    case 'u':
      return String(found.uid)
    case 'U':
      return userName(invocation, found.uid)
    case 'w':
      return '-'
    case 'x':
    case 'y':
    case 'z':
      return formatTime('%Y-%m-%d %H:%M:%S.%N %z', found.modifiedAtMs)
    case 'X':
    case 'Y':
    case 'Z':
      return String(Math.floor(found.modifiedAtMs / 1000))
    case '%':
      return '%'
    default:
      return undefined
  }
}

/** Where the mount begins that holds a path. */
export function mountPoint(invocation: Invocation, path: ByteString): ByteString {
  const real = invocation.files.realPath(path)
  let found = '/'
  for (const { at } of invocation.process.kernel.surroundings.mounts()) {
    const isInside = real === at || real.startsWith(at.endsWith('/') ? at : `${at}/`)
    if (isInside && at.length > found.length) found = at
  }
  return found
}

export const du: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('shabkmcxd:', {
    summarize: 's',
    'human-readable': 'h',
    all: 'a',
    bytes: 'b',
    total: 'c',
    'max-depth': 'd',
    'one-file-system': 'x',
  })
  const depthText = values.get('d')?.at(-1)
  if (depthText !== undefined && !/^\d{1,6}$/.test(depthText)) {
    throw new ScriptFault(`invalid maximum depth '${depthText}'`, 1)
  }
  const depthMax = flags.has('s') ? 0 : depthText === undefined ? Infinity : Number(depthText)
  const show = (sizeBytes: number): string => {
    if (flags.has('b')) return String(sizeBytes)
    if (flags.has('h')) return humanSize(sizeBytes)
    return String(Math.ceil(sizeBytes / (flags.has('m') ? 1_048_576 : 1024)))
  }
  const sizeOf = (found: FileStat): number =>
    flags.has('b') ? found.sizeBytes : blocksOf(found) * 1024
  const seen = new Set<number>()
  let status = 0
  let total = 0
  const measure = function* (path: ByteString, depth: number): Task<number> {
    const found = invocation.files.stat(path, false)
    const isSecondName = found.links > 1 && found.kind === 'file' && found.inode !== 0
    if (isSecondName && seen.has(found.inode)) return 0
    if (isSecondName) seen.add(found.inode)
    let sum = sizeOf(found)
    if (found.kind === 'directory') {
      let names: readonly ByteString[] = []
      try {
        names = invocation.files.list(path)
      } catch (refusal) {
        status = 1
        yield* invocation.flush()
        yield* invocation.complain(`cannot read directory '${path}': ${complaint(refusal)}`)
      }
      for (const name of names) {
        const at = below(path, name)
        if (invocation.files.statIfThere(at, false) !== undefined)
          sum += yield* measure(at, depth + 1)
      }
      yield
    }
    const isShown =
      depth === 0 || (depth <= depthMax && (found.kind === 'directory' || flags.has('a')))
    if (isShown) invocation.put(`${show(sum)}\t${path}\n`)
    if (invocation.isFull) yield* drain(invocation)
    return sum
  }
  for (const path of operands.length === 0 ? ['.'] : operands) {
    try {
      total += yield* measure(path, 0)
    } catch (refusal) {
      status = 1
      yield* invocation.flush()
      yield* invocation.complain(`cannot access '${path}': ${complaint(refusal)}`)
    }
  }
  if (flags.has('c')) invocation.put(`${show(total)}\ttotal\n`)
  return status
}

/** `basename` with its suffixes. */
export const basename: Program = (invocation) => {
  const { flags, values, operands } = leadingOptions(invocation, 'as:z', {
    multiple: 'a',
    suffix: 's',
    zero: 'z',
  })
  const isMany = flags.has('a') || values.has('s')
  const [first, second, extra] = operands
  if (first === undefined) throw new ScriptFault('missing operand', 1)
  if (!isMany && extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 1)
  const suffix = values.get('s')?.at(-1) ?? (isMany ? '' : (second ?? ''))
  const end = flags.has('z') ? '\0' : '\n'
  const names = (isMany ? operands : [first]).map((path) => {
    const name = baseName(path)
    return suffix !== '' && name !== suffix && name.endsWith(suffix)
      ? name.slice(0, -suffix.length)
      : name
  })
  return invocation.answer(names.map((name) => name + end).join(''))
}

export const dirname: Program = (invocation) => {
  const { flags, operands } = invocation.options('z', { zero: 'z' })
  if (operands.length === 0) throw new ScriptFault('missing operand', 1)
  const end = flags.has('z') ? '\0' : '\n'
  return invocation.answer(operands.map((path) => parentPath(path) + end).join(''))
}
