import type { ByteString } from '../byte-string.ts'
import type { Description } from '../description.ts'
import { complaint, LineReader, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { compileAny, RegexMalformed, type RegexSyntax } from '../regex/posix.ts'
import { Glob } from '../regex/glob.ts'
import type { Regex } from '../regex/regex.ts'
import type { Task } from '../wait-set.ts'
import { withArguments } from './arguments.ts'
import { drain, linesOf } from './lines.ts'
import { wholeNumber } from './magnitude.ts'

const long = {
  'extended-regexp': 'E',
  'fixed-strings': 'F',
  'basic-regexp': 'G',
  'ignore-case': 'i',
  'invert-match': 'v',
  count: 'c',
  'line-number': 'n',
  quiet: 'q',
  silent: 'q',
  'only-matching': 'o',
  'line-regexp': 'x',
  'word-regexp': 'w',
  'files-with-matches': 'l',
  'files-without-match': 'L',
  recursive: 'r',
  'no-messages': 's',
  regexp: 'e',
  file: 'f',
  'with-filename': 'H',
  'no-filename': 'h',
  'max-count': 'm',
  'after-context': 'A',
  'before-context': 'B',
  context: 'C',
  'byte-offset': 'b',
  text: 'a',
  include: '1',
  exclude: '2',
  null: 'Z',
  'null-data': 'z',
  color: '3',
  colour: '3',
}

interface Search {
  readonly regex: Regex
  readonly matchesAll: boolean
  readonly isInverted: boolean
  readonly shows: 'lines' | 'parts' | 'count' | 'names' | 'names-without' | 'nothing'
  readonly hasNumbers: boolean
  readonly hasOffsets: boolean
  readonly hasNames: boolean
  readonly isText: boolean
  readonly max: number
  readonly before: number
  readonly after: number
  readonly separator: ByteString
}

export const grep: Program = function* (invocation) {
  const numbered = invocation.args.map((arg) => (/^-\d+$/.test(arg) ? `-C${arg.slice(1)}` : arg))
  const given = invocation.args.some((arg) => arg === '-e' || arg === '-f')
    ? invocation.args
    : numbered
  const { flags, values, operands } = withColor(invocation, given).options(
    'EFGivcnqoxwlLrRsHhbaZze:f:m:A:B:C:1:2:',
    long,
  )
  const paths = [...operands]
  const patterns = (values.get('e') ?? []).flatMap((text) => text.split('\n'))
  for (const path of values.get('f') ?? []) patterns.push(...(yield* linesOf(invocation, path)))
  if (!values.has('e') && !values.has('f')) {
    const operand = paths.shift()
    if (operand === undefined) throw new ScriptFault('no pattern given', 2)
    patterns.push(...operand.split('\n'))
  }
  const isRecursive = flags.has('r') || flags.has('R')
  if (isRecursive && paths.length === 0) paths.push('.')
  const isMany = isRecursive || paths.length > 1
  const search = searchOf(invocation, flags, values, patterns, isMany)
  const isSilent = flags.has('s')
  let isFound = false
  let isFaulty = false
  const visit = function* (path: ByteString, shown: ByteString): Task<boolean> {
    let input: Description
    try {
      input = invocation.openInput(path)
    } catch (refusal) {
      isFaulty = true
      yield* invocation.flush()
      if (!isSilent) yield* invocation.complain(complaint(refusal, shown))
      return false
    }
    try {
      if (yield* searchInput(invocation, search, input, shown)) isFound = true
    } finally {
      input.release()
    }
    return isFound && search.shows === 'nothing'
  }
  for (const path of paths.length === 0 ? ['-'] : paths) {
    const isDirectory = path !== '-' && invocation.files.statIfThere(path)?.kind === 'directory'
    if (isDirectory && isRecursive) {
      const filter = new NameFilter(values.get('1') ?? [], values.get('2') ?? [])
      for (const found of yield* filesBelow(invocation, path, filter)) {
        if (
          yield* visit(
            found,
            operands.length < 2 && path === '.' && !operands.includes('.') ? found.slice(2) : found,
          )
        )
          return 0
      }
      continue
    }
    if (isDirectory) {
      yield* invocation.flush()
      if (!isSilent) yield* invocation.complain(`${path}: Is a directory`)
      isFaulty = true
      continue
    }
    if (yield* visit(path, path === '-' ? '(standard input)' : path)) return 0
  }
  if (isFaulty) return 2
  return isFound ? 0 : 1
}

/** `--color` says nothing here: output never goes to a terminal. */
const withColor = (invocation: Invocation, args: readonly ByteString[]): Invocation =>
  withArguments(
    invocation,
    args.filter((arg) => !/^--colou?r(=(auto|never|always))?$/.test(arg)),
  )

class NameFilter {
  readonly #included: readonly Glob[]
  readonly #excluded: readonly Glob[]

  constructor(included: readonly ByteString[], excluded: readonly ByteString[]) {
    this.#included = included.map((pattern) => new Glob(pattern))
    this.#excluded = excluded.map((pattern) => new Glob(pattern))
  }

  accepts(name: ByteString): boolean {
    if (this.#excluded.some((glob) => glob.matchesName(name))) return false
    return this.#included.length === 0 || this.#included.some((glob) => glob.matchesName(name))
  }
}

function searchOf(
  invocation: Invocation,
  flags: ReadonlySet<string>,
  values: ReadonlyMap<string, readonly ByteString[]>,
  patterns: readonly ByteString[],
  isMany: boolean,
): Search {
  const isFixed = flags.has('F') || invocation.name === 'fgrep'
  const isExtended = flags.has('E') || invocation.name === 'egrep'
  const syntax: RegexSyntax = isFixed ? 'fixed' : isExtended ? 'extended' : 'basic'
  const number = (letter: string, absent: number): number => {
    const text = values.get(letter)?.at(-1)
    return text === undefined ? absent : wholeNumber(text, 'invalid number', 2)
  }
  const context = number('C', 0)
  const shows = flags.has('q')
    ? 'nothing'
    : flags.has('l')
      ? 'names'
      : flags.has('L')
        ? 'names-without'
        : flags.has('c')
          ? 'count'
          : flags.has('o')
            ? 'parts'
            : 'lines'
  return {
    regex: compiled(patterns, syntax, flags),
    matchesAll: patterns.includes('') && !flags.has('x') && !flags.has('w'),
    isInverted: flags.has('v'),
    shows,
    hasNumbers: flags.has('n'),
    hasOffsets: flags.has('b'),
    hasNames: flags.has('H') || (isMany && !flags.has('h')),
    isText: flags.has('a'),
    max: number('m', Infinity),
    before: number('B', context),
    after: number('A', context),
    separator: flags.has('z') ? '\0' : '\n',
  }
}

function compiled(
  patterns: readonly ByteString[],
  syntax: RegexSyntax,
  flags: ReadonlySet<string>,
): Regex {
  try {
    return compileAny(patterns, syntax, {
      ignoresCase: flags.has('i'),
      isWholeLine: flags.has('x'),
      isWord: flags.has('w'),
    })
  } catch (refusal) {
    if (refusal instanceof RegexMalformed) throw new ScriptFault(refusal.message, 2)
    throw refusal
  }
}

/** A chunk of input may be thousands of empty lines: too many for one tick. */
const linesPerTick = 100

function* searchInput(
  invocation: Invocation,
  search: Search,
  input: Description,
  path: ByteString,
): Task<boolean> {
  const { regex, shows, separator } = search
  const lines = new LineReader(invocation, input, separator)
  const held: { readonly line: ByteString; readonly number: number; readonly offset: number }[] = []
  let count = 0
  let number = 0
  let offset = 0
  let afterLeft = 0
  let lastShown = 0
  let isBinary = false
  const put = (line: ByteString, at: number, start: number, mark: ':' | '-'): void => {
    if (search.hasNames) invocation.put(path + mark)
    if (search.hasNumbers) invocation.put(`${at}${mark}`)
    if (search.hasOffsets) invocation.put(`${start}${mark}`)
    invocation.put(line + separator)
    lastShown = at
  }
  while (count < search.max) {
    const line = lines.take() ?? (yield* lines.more())
    if (line === undefined) break
    if (++number % linesPerTick === 0) yield
    if (line.includes('\0') && separator === '\n' && !search.isText) isBinary = true
    const match = search.matchesAll && shows !== 'parts' ? wholeLine : yield* regex.search(line)
    if ((match !== undefined) === search.isInverted) {
      if (afterLeft > 0) {
        afterLeft--
        put(line, number, offset, '-')
      } else if (search.before > 0) {
        held.push({ line, number, offset })
        if (held.length > search.before) held.shift()
      }
      offset += line.length + 1
      continue
    }
    count++
    if (shows === 'nothing' || shows === 'names' || shows === 'names-without') break
    if (isBinary && shows !== 'count') {
      yield* invocation.flush()
      yield* invocation.complain(`${path}: binary file matches`)
      return true
    }
    if (shows === 'parts' && !search.isInverted) {
      let from = 0
      for (let part = match; part !== undefined; part = yield* regex.search(line, from)) {
        if (part.end > part.start)
          put(line.slice(part.start, part.end), number, offset + part.start, ':')
        from = part.end > part.start ? part.end : part.end + 1
        if (from > line.length) break
      }
    } else if (shows === 'lines') {
      const first = held[0]?.number ?? number
      const hasContext = search.before > 0 || search.after > 0
      if (hasContext && lastShown > 0 && first > lastShown + 1) invocation.put('--\n')
      for (const one of held) put(one.line, one.number, one.offset, '-')
      held.length = 0
      put(line, number, offset, ':')
      afterLeft = search.after
    }
    offset += line.length + 1
    if (invocation.isFull) yield* drain(invocation)
  }
  if (shows === 'lines') {
    for (; afterLeft > 0; afterLeft--) {
      const line = lines.take() ?? (yield* lines.more())
      if (line === undefined) break
      put(line, ++number, offset, '-')
      offset += line.length + 1
    }
  }
  if (shows === 'count') invocation.put(`${search.hasNames ? `${path}:` : ''}${count}\n`)
  if (shows === 'names' && count > 0) invocation.put(`${path}\n`)
  if (shows === 'names-without') {
    if (count === 0) invocation.put(`${path}\n`)
    return count === 0
  }
  return count > 0
}

const wholeLine = { start: 0, end: 0, groups: [] }

/** The files below a directory, in order of their names; symbolic links are not followed. */
function* filesBelow(
  invocation: Invocation,
  top: ByteString,
  filter: NameFilter,
): Task<readonly ByteString[]> {
  const found: ByteString[] = []
  const open: ByteString[] = [top]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const stat = invocation.files.statIfThere(path, false)
    if (stat?.kind === 'file' && filter.accepts(path.slice(path.lastIndexOf('/') + 1)))
      found.push(path)
    if (stat?.kind !== 'directory') continue
    try {
      const base = path.endsWith('/') ? path : `${path}/`
      for (const name of invocation.files.list(path).toReversed()) open.push(base + name)
    } catch (refusal) {
      yield* invocation.complain(complaint(refusal, path))
    }
    yield
  }
  return found
}
