import { bytesOf, type ByteString } from '../byte-string.ts'
import type { Invocation, Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { withArguments } from './arguments.ts'
import { asciiLower, asciiUpper } from './ascii.ts'
import { drain, allLines, eachLine, writeInto } from './lines.ts'

/** How two keys are compared. */
interface Ordering {
  readonly isNumeric: boolean
  readonly isGeneral: boolean
  readonly isHuman: boolean
  readonly isVersion: boolean
  readonly isReversed: boolean
  readonly ignoresCase: boolean
  readonly isDictionary: boolean
  readonly skipsBlanks: boolean
}

interface Key {
  readonly fromField: number
  readonly fromCharacter: number
  readonly toField: number
  readonly toCharacter: number
  /** Letters behind the key; the options of the whole program count when there are none. */
  readonly ordering: Ordering | undefined
}

const orderingLetters = 'nghVrfdbi'

function ordering(has: (letter: string) => boolean): Ordering {
  return {
    isNumeric: has('n'),
    isGeneral: has('g'),
    isHuman: has('h'),
    isVersion: has('V'),
    isReversed: has('r'),
    ignoresCase: has('f'),
    isDictionary: has('d'),
    skipsBlanks: has('b'),
  }
}

function parseKey(text: ByteString): Key {
  const match = /^(\d+)(?:\.(\d+))?([a-zA-Z]*)(?:,(\d+)(?:\.(\d+))?([a-zA-Z]*))?$/.exec(text)
  if (match === null) throw new ScriptFault(`invalid field specification '${text}'`, 2)
  const [, field = '', character = '1', letters = '', end, endCharacter = '0', more = ''] = match
  const all = letters + more
  if (Number(field) === 0) {
    throw new ScriptFault(`field number is zero: invalid field specification '${text}'`, 2)
  }
  for (const letter of all) {
    if (!orderingLetters.includes(letter)) {
      throw new ScriptFault(
        `stray character in field spec: invalid field specification '${text}'`,
        2,
      )
    }
  }
  return {
    fromField: Number(field),
    fromCharacter: Number(character),
    toField: end === undefined ? Infinity : Number(end),
    toCharacter: Number(endCharacter),
    ordering: all === '' ? undefined : ordering((letter) => all.includes(letter)),
  }
}

/** Where field `number` begins and ends. Without a separator, blanks in front belong to a field. */
function fieldSpan(
  line: ByteString,
  number: number,
  separator: ByteString | undefined,
): readonly [start: number, end: number] {
  let start = 0
  for (let field = 1; ; field++) {
    let end: number
    if (separator === undefined) {
      end = start
      while (isBlank(line, end)) end++
      while (end < line.length && !isBlank(line, end)) end++
    } else {
      const cut = line.indexOf(separator, start)
      end = cut < 0 ? line.length : cut
    }
    if (field === number) return [start, end]
    if (end >= line.length) return [line.length, line.length]
    start = separator === undefined ? end : end + 1
  }
}

const isBlank = (line: ByteString, at: number): boolean => line[at] === ' ' || line[at] === '\t'

function skipBlanks(line: ByteString, from: number): number {
  let at = from
  while (isBlank(line, at)) at++
  return at
}

function extract(
  line: ByteString,
  key: Key,
  separator: ByteString | undefined,
  skips: boolean,
): ByteString {
  const [from] = fieldSpan(line, key.fromField, separator)
  const start = (skips ? skipBlanks(line, from) : from) + key.fromCharacter - 1
  if (key.toField === Infinity) return line.slice(start)
  const [toStart, toEnd] = fieldSpan(line, key.toField, separator)
  if (key.toCharacter === 0) return line.slice(start, Math.max(start, toEnd))
  const end = (skips ? skipBlanks(line, toStart) : toStart) + key.toCharacter
  return line.slice(start, Math.max(start, Math.min(end, line.length)))
}

const units = ' KMGTPEZY'

function compareText(left: ByteString, right: ByteString): number {
  return left < right ? -1 : left > right ? 1 : 0
}

const numberIn = (text: ByteString): number =>
  Number(/^\s*(-?\d*\.?\d*)/.exec(text)?.[1]?.replace(/^(-?)\.?$/, '$10') ?? 0) || 0

function generalIn(text: ByteString): number {
  const value = Number.parseFloat(text)
  return Number.isNaN(value) ? -Infinity : value
}

/** What counts first: the sign and the unit. */
function humanRank(text: ByteString): number {
  const [, sign, digits = '', unit = ' '] = /^\s*(-?)(\d*\.?\d*)([KMGTPEZYk]?)/.exec(text) ?? []
  if (Number(digits) === 0) return 0
  const order = 1 + Math.max(0, units.indexOf(asciiUpper(unit || ' ')))
  return sign === '-' ? -order : order
}

function compareHuman(left: ByteString, right: ByteString): number {
  return humanRank(left) - humanRank(right) || numberIn(left) - numberIn(right)
}

const versionParts = (text: ByteString): string[] => text.match(/\d+|\D+/g) ?? []

function compareVersion(left: ByteString, right: ByteString): number {
  const one = versionParts(left)
  const two = versionParts(right)
  for (let at = 0; at < Math.max(one.length, two.length); at++) {
    const a = one[at] ?? ''
    const b = two[at] ?? ''
    const areNumbers = /^\d/.test(a) && /^\d/.test(b)
    const result = areNumbers ? Number(a) - Number(b) : compareText(a, b)
    if (result !== 0) return result
  }
  return 0
}

function compareBy(how: Ordering, left: ByteString, right: ByteString): number {
  let result: number
  if (how.isNumeric) result = numberIn(left) - numberIn(right)
  else if (how.isGeneral) result = Math.sign(generalIn(left) - generalIn(right)) || 0
  else if (how.isHuman) result = compareHuman(left, right)
  else if (how.isVersion) result = compareVersion(left, right)
  else {
    const prepare = (text: ByteString): ByteString => {
      const kept = how.isDictionary ? text.replace(/[^ \ta-zA-Z0-9]/g, '') : text
      const trimmed = how.skipsBlanks ? kept.replace(/^[ \t]+/, '') : kept
      return how.ignoresCase ? asciiUpper(trimmed) : trimmed
    }
    result = compareText(prepare(left), prepare(right))
  }
  return how.isReversed ? -result : result
}

type Comparison = (left: ByteString, right: ByteString) => number

/** How many comparisons are one tick. */
const comparisonsPerTick = 500

/** Merge sort that ticks: a stable order of any number of lines without ever holding up a machine. */
export function* mergeSort(lines: readonly ByteString[], compare: Comparison): Task<ByteString[]> {
  let source = [...lines]
  let target = [...lines]
  let work = 0
  for (let width = 1; width < source.length; width *= 2) {
    for (let start = 0; start < source.length; start += 2 * width) {
      const middle = Math.min(start + width, source.length)
      const end = Math.min(start + 2 * width, source.length)
      let left = start
      let right = middle
      for (let at = start; at < end; at++) {
        const one = source[left] ?? ''
        const two = source[right] ?? ''
        const takesLeft = left < middle && (right >= end || compare(one, two) <= 0)
        target[at] = takesLeft ? one : two
        if (takesLeft) left++
        else right++
        if (++work % comparisonsPerTick === 0) yield
      }
    }
    ;[source, target] = [target, source]
  }
  return source
}

export const sort: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('nghVrfdbiusmczk:t:o:S:T:', {
    'numeric-sort': 'n',
    'general-numeric-sort': 'g',
    'human-numeric-sort': 'h',
    'version-sort': 'V',
    reverse: 'r',
    'ignore-case': 'f',
    'dictionary-order': 'd',
    'ignore-leading-blanks': 'b',
    unique: 'u',
    stable: 's',
    merge: 'm',
    check: 'c',
    'zero-terminated': 'z',
    key: 'k',
    'field-separator': 't',
    output: 'o',
  })
  const separator = values.get('t')?.at(-1)
  if (separator !== undefined && separator.length !== 1) {
    throw new ScriptFault(separator === '' ? 'empty tab' : `multi-character tab '${separator}'`, 2)
  }
  const whole = ordering((letter) => flags.has(letter))
  const keys = (values.get('k') ?? []).map(parseKey)
  const byKeys: Comparison = (left, right) => {
    if (keys.length === 0) return compareBy(whole, left, right)
    for (const key of keys) {
      const how = key.ordering ?? whole
      const one = extract(left, key, separator, how.skipsBlanks)
      const two = extract(right, key, separator, how.skipsBlanks)
      const result = compareBy(how, one, two)
      if (result !== 0) return result
    }
    return 0
  }
  const isFinal = flags.has('s') || flags.has('u')
  const lastResort = (left: ByteString, right: ByteString): number =>
    whole.isReversed ? compareText(right, left) : compareText(left, right)
  const compare: Comparison = (left, right) =>
    byKeys(left, right) || (isFinal ? 0 : lastResort(left, right))
  const end = flags.has('z') ? '\0' : '\n'
  const missing = operands.find(
    (path) => path !== '-' && invocation.files.statIfThere(path) === undefined,
  )
  if (missing !== undefined) {
    return yield* invocation.fail(`cannot read: ${missing}: No such file or directory`, 2)
  }
  const { lines, status } = yield* allLines(invocation, operands, end)
  if (status !== 0) return 2
  if (flags.has('c')) {
    return yield* checkOrder(
      invocation,
      lines,
      flags.has('u') ? byKeys : compare,
      flags.has('u'),
      operands[0] ?? '-',
    )
  }
  const sorted = yield* mergeSort(lines, compare)
  const kept = flags.has('u') ? yield* first(sorted, byKeys) : sorted
  return yield* deliver(invocation, kept, end, values.get('o')?.at(-1))
}

/** The first of all lines that compare as equal. */
function* first(lines: readonly ByteString[], compare: Comparison): Task<ByteString[]> {
  const kept: ByteString[] = []
  for (const [at, line] of lines.entries()) {
    const before = kept.at(-1)
    if (before === undefined || compare(before, line) !== 0) kept.push(line)
    if (at % comparisonsPerTick === 0) yield
  }
  return kept
}

function* checkOrder(
  invocation: Invocation,
  lines: readonly ByteString[],
  compare: Comparison,
  isStrict: boolean,
  path: ByteString,
): Task<number> {
  for (const [at, line] of lines.entries()) {
    const before = lines[at - 1]
    if (before === undefined) continue
    const result = compare(before, line)
    if (result > 0 || (isStrict && result === 0)) {
      return yield* invocation.fail(`${path}:${at + 1}: disorder: ${line}`)
    }
    if (at % comparisonsPerTick === 0) yield
  }
  return 0
}

function* deliver(
  invocation: Invocation,
  lines: readonly ByteString[],
  end: ByteString,
  path: ByteString | undefined,
): Task<number> {
  if (path === undefined) {
    for (const line of lines) {
      invocation.put(line + end)
      if (invocation.isFull) yield* drain(invocation)
    }
    return 0
  }
  const flags = { write: true, create: true, truncate: true }
  const output = invocation.files.open(path, flags).retain()
  let work = 0
  try {
    for (const line of lines) {
      yield* writeInto(output, bytesOf(line + end))
      if (++work % comparisonsPerTick === 0) yield
    }
  } finally {
    output.release()
  }
  return 0
}

export const uniq: Program = function* (invocation) {
  const args = invocation.args.map((arg) => (/^-\d+$/.test(arg) ? `-f${arg.slice(1)}` : arg))
  const { flags, values, operands } = withArguments(invocation, args).options('cduizf:s:w:', {
    count: 'c',
    repeated: 'd',
    unique: 'u',
    'ignore-case': 'i',
    'zero-terminated': 'z',
    'skip-fields': 'f',
    'skip-chars': 's',
    'check-chars': 'w',
  })
  const number = (letter: string): number | undefined => {
    const text = values.get(letter)?.at(-1)
    if (text === undefined) return undefined
    if (!/^\d{1,9}$/.test(text))
      throw new ScriptFault(`invalid number of bytes to skip: '${text}'`, 1)
    return Number(text)
  }
  const fields = number('f') ?? 0
  const skip = number('s') ?? 0
  const width = number('w')
  const keyOf = (line: ByteString): ByteString => {
    let at = 0
    for (let field = 0; field < fields; field++) {
      at = skipBlanks(line, at)
      while (at < line.length && !isBlank(line, at)) at++
    }
    const key = line.slice(at + skip, width === undefined ? undefined : at + skip + width)
    return flags.has('i') ? asciiLower(key) : key
  }
  const end = flags.has('z') ? '\0' : '\n'
  const [input, output, extra] = operands
  if (extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 1)
  const results: ByteString[] = []
  const put = (line: ByteString): void => {
    if (output === undefined) invocation.put(line)
    else results.push(line)
  }
  let kept: ByteString | undefined
  let keptKey = ''
  let count = 0
  const finish = (): void => {
    if (kept === undefined) return
    if (flags.has('d') && count < 2) return
    if (flags.has('u') && count > 1) return
    put(flags.has('c') ? `${String(count).padStart(7)} ${kept}${end}` : kept + end)
  }
  const status = yield* eachLine(
    invocation,
    input === undefined ? [] : [input],
    (line) => {
      const key = keyOf(line)
      if (kept !== undefined && key === keptKey) {
        count++
        return
      }
      finish()
      kept = line
      keptKey = key
      count = 1
    },
    end,
  )
  finish()
  if (output === undefined) return status
  return yield* deliver(invocation, results, '', output)
}
