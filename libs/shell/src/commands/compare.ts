import type { ByteString } from '../byte-string.ts'
import { FileSystemError } from '../file-system.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { baseName } from '../paths.ts'
import type { Task } from '../wait-set.ts'
import { asciiLower, trimBlanks } from './ascii.ts'
import { formatTime } from './calendar.ts'
import { wholeNumber } from './magnitude.ts'
import { drain, readFully } from './lines.ts'

/** Lines `[oldStart, oldEnd)` of one file became `[newStart, newEnd)` of the other. */
interface Change {
  readonly oldStart: number
  readonly oldEnd: number
  readonly newStart: number
  readonly newEnd: number
}

interface Side {
  readonly path: ByteString
  readonly lines: readonly ByteString[]
  readonly isTerminated: boolean
}

/** Beyond this many differing lines the answer is one large change, as `diff` itself falls back to. */
const differencesMax = 1500

/** Myers' algorithm: the shortest way from one file to the other. */
function* changes(one: readonly ByteString[], two: readonly ByteString[]): Task<readonly Change[]> {
  let start = 0
  while (start < one.length && start < two.length && one[start] === two[start]) start++
  let oldEnd = one.length
  let newEnd = two.length
  while (oldEnd > start && newEnd > start && one[oldEnd - 1] === two[newEnd - 1]) {
    oldEnd--
    newEnd--
  }
  const oldSize = oldEnd - start
  const newSize = newEnd - start
  if (oldSize === 0 && newSize === 0) return []
  const whole = [{ oldStart: start, oldEnd, newStart: start, newEnd }]
  if (oldSize === 0 || newSize === 0) return whole
  const max = Math.min(oldSize + newSize, differencesMax)
  const offset = max + 1
  const reach = new Int32Array(2 * max + 3)
  const trace: Int32Array[] = []
  for (let cost = 0; cost <= max; cost++) {
    trace.push(reach.slice(offset - cost - 1, offset + cost + 2))
    for (let diagonal = -cost; diagonal <= cost; diagonal += 2) {
      const isDown =
        diagonal === -cost ||
        (diagonal !== cost &&
          reached(reach, offset + diagonal - 1) < reached(reach, offset + diagonal + 1))
      let x = isDown
        ? reached(reach, offset + diagonal + 1)
        : reached(reach, offset + diagonal - 1) + 1
      let y = x - diagonal
      while (x < oldSize && y < newSize && one[start + x] === two[start + y]) {
        x++
        y++
      }
      reach[offset + diagonal] = x
      if (x >= oldSize && y >= newSize) return grouped(trace, oldSize, newSize, start)
    }
    yield
  }
  return whole
}

const reached = (array: Int32Array, index: number): number => array[index] ?? 0

function grouped(
  trace: readonly Int32Array[],
  oldSize: number,
  newSize: number,
  start: number,
): readonly Change[] {
  const found: Change[] = []
  let x = oldSize
  let y = newSize
  for (let cost = trace.length - 1; cost > 0; cost--) {
    const reach = trace[cost] ?? new Int32Array(0)
    const diagonal = x - y
    const offset = cost + 1
    const isDown =
      diagonal === -cost ||
      (diagonal !== cost &&
        reached(reach, offset + diagonal - 1) < reached(reach, offset + diagonal + 1))
    const before = isDown ? diagonal + 1 : diagonal - 1
    const fromX = reached(reach, offset + before)
    const fromY = fromX - before
    const oldStart = start + fromX
    const newStart = start + fromY
    const next = found.at(-1)
    const step = {
      oldStart,
      oldEnd: oldStart + (isDown ? 0 : 1),
      newStart,
      newEnd: newStart + (isDown ? 1 : 0),
    }
    if (next !== undefined && next.oldStart === step.oldEnd && next.newStart === step.newEnd) {
      found[found.length - 1] = { ...next, oldStart, newStart }
    } else found.push(step)
    x = fromX
    y = fromY
  }
  return found.toReversed()
}

export const diff: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('qsruNiwbBaU:L:', {
    brief: 'q',
    'report-identical-files': 's',
    recursive: 'r',
    'new-file': 'N',
    unified: 'u',
    'ignore-case': 'i',
    'ignore-all-space': 'w',
    'ignore-space-change': 'b',
    text: 'a',
    label: 'L',
  })
  const [first, second, extra] = operands
  if (second === undefined)
    throw new ScriptFault(`missing operand after '${first ?? invocation.name}'`, 2)
  if (extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 2)
  const context = values.get('U')?.at(-1)
  const comparison = new Comparison(
    invocation,
    flags,
    context === undefined ? 3 : wholeNumber(context, 'invalid context length', 2),
    flags.has('u') || context !== undefined,
    values.get('L') ?? [],
  )
  return yield* comparison.compare(first ?? '', second)
}

class Comparison {
  readonly #invocation: Invocation
  readonly #flags: ReadonlySet<string>
  readonly #context: number
  readonly #isUnified: boolean
  readonly #labels: readonly ByteString[]

  constructor(
    invocation: Invocation,
    flags: ReadonlySet<string>,
    context: number,
    isUnified: boolean,
    labels: readonly ByteString[],
  ) {
    this.#invocation = invocation
    this.#flags = flags
    this.#context = context
    this.#isUnified = isUnified
    this.#labels = labels
  }

  *compare(first: ByteString, second: ByteString): Task<number> {
    const one = this.#kind(first)
    const two = this.#kind(second)
    if (one === 'directory' && two === 'directory') return yield* this.#directories(first, second)
    if (one === 'directory' && second !== '-')
      return yield* this.#files(`${first}/${baseName(second)}`, second)
    if (two === 'directory' && first !== '-')
      return yield* this.#files(first, `${second}/${baseName(first)}`)
    return yield* this.#files(first, second)
  }

  #kind(path: ByteString): string | undefined {
    return path === '-' ? 'file' : this.#invocation.files.statIfThere(path)?.kind
  }

  *#directories(first: ByteString, second: ByteString): Task<number> {
    const { files } = this.#invocation
    const one = new Set(files.list(first))
    const two = new Set(files.list(second))
    let status = 0
    for (const name of [...one.union(two)].toSorted()) {
      const left = `${first}/${name}`
      const right = `${second}/${name}`
      let result: number
      const isBoth = one.has(name) && two.has(name)
      if (!isBoth && !this.#flags.has('N')) {
        this.#invocation.put(`Only in ${one.has(name) ? first : second}: ${name}\n`)
        result = 1
      } else if (this.#kind(left) === 'directory' && this.#kind(right) === 'directory') {
        if (this.#flags.has('r')) result = yield* this.#directories(left, right)
        else {
          this.#invocation.put(`Common subdirectories: ${left} and ${right}\n`)
          result = 0
        }
      } else {
        const isTitled = !this.#flags.has('q')
        const options = ['-r', ...(this.#isUnified ? ['-u'] : [])]
        const title = isTitled ? `diff ${options.join(' ')} ${left} ${right}\n` : ''
        result = yield* this.#files(left, right, title)
      }
      status = Math.max(status, result)
      yield
    }
    return status
  }

  *#files(first: ByteString, second: ByteString, title = ''): Task<number> {
    const one = yield* this.#side(first)
    const two = yield* this.#side(second)
    if (one === undefined || two === undefined) return 2
    const isBinary = [one, two].some(({ lines }) => lines.some((line) => line.includes('\0')))
    const found = yield* changes(this.#keys(one), this.#keys(two))
    if (found.length === 0) {
      if (this.#flags.has('s')) this.#invocation.put(`Files ${first} and ${second} are identical\n`)
      return 0
    }
    if (this.#flags.has('q')) this.#invocation.put(`Files ${first} and ${second} differ\n`)
    else if (isBinary && !this.#flags.has('a')) {
      this.#invocation.put(`Binary files ${first} and ${second} differ\n`)
      return 2
    } else {
      this.#invocation.put(title)
      if (this.#isUnified) this.#unified(one, two, found)
      else this.#plain(one, two, found)
    }
    if (this.#invocation.isFull) yield* drain(this.#invocation)
    return 1
  }

  *#side(path: ByteString): Task<Side | undefined> {
    try {
      if (this.#flags.has('N') && this.#kind(path) === undefined)
        return { path, lines: [], isTerminated: true }
      const input = this.#invocation.openInput(path)
      try {
        const text = yield* this.#invocation.readText(input)
        const isTerminated = text === '' || text.endsWith('\n')
        const lines = text.split('\n')
        if (isTerminated) lines.pop()
        return { path, lines, isTerminated }
      } finally {
        input.release()
      }
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      yield* this.#invocation.flush()
      yield* this.#invocation.complain(complaint(refusal, path))
      return undefined
    }
  }

  /** Lines as far as they count. A last line without its newline differs from one that has it. */
  #keys({ lines, isTerminated }: Side): readonly ByteString[] {
    return lines.map((line, index) => {
      let key = this.#flags.has('i') ? asciiLower(line) : line
      if (this.#flags.has('w')) return key.replace(/[ \t\r\v\f]+/g, '')
      if (this.#flags.has('b')) return trimBlanks(`x${key.replace(/[ \t\r\v\f]+/g, ' ')}`)
      if (!isTerminated && index === lines.length - 1) key += '\n'
      return key
    })
  }

  #line(mark: string, side: Side, index: number): void {
    const isLast = index === side.lines.length - 1 && !side.isTerminated
    this.#invocation.put(`${mark}${side.lines[index] ?? ''}\n`)
    if (isLast) this.#invocation.put('\\ No newline at end of file\n')
  }

  #plain(one: Side, two: Side, found: readonly Change[]): void {
    for (const { oldStart, oldEnd, newStart, newEnd } of found) {
      const letter = oldStart === oldEnd ? 'a' : newStart === newEnd ? 'd' : 'c'
      this.#invocation.put(
        `${plainRange(oldStart, oldEnd)}${letter}${plainRange(newStart, newEnd)}\n`,
      )
      for (let index = oldStart; index < oldEnd; index++) this.#line('< ', one, index)
      if (letter === 'c') this.#invocation.put('---\n')
      for (let index = newStart; index < newEnd; index++) this.#line('> ', two, index)
    }
  }

  #unified(one: Side, two: Side, found: readonly Change[]): void {
    this.#invocation.put(`--- ${this.#label(one, 0)}\n+++ ${this.#label(two, 1)}\n`)
    const context = this.#context
    for (let first = 0; first < found.length;) {
      let last = first
      const gap = (index: number): number =>
        (found[index + 1]?.oldStart ?? Infinity) - (found[index]?.oldEnd ?? 0)
      while (gap(last) <= 2 * context) last++
      this.#hunk(one, two, found.slice(first, last + 1))
      first = last + 1
    }
  }

  #hunk(one: Side, two: Side, hunk: readonly Change[]): void {
    const [first] = hunk
    const last = hunk.at(-1)
    if (first === undefined || last === undefined) return
    const before = Math.min(this.#context, first.oldStart)
    const after = Math.min(this.#context, one.lines.length - last.oldEnd)
    const oldSize = last.oldEnd + after - (first.oldStart - before)
    const newSize = last.newEnd + after - (first.newStart - before)
    const oldRange = unifiedRange(first.oldStart - before, oldSize)
    const newRange = unifiedRange(first.newStart - before, newSize)
    this.#invocation.put(`@@ -${oldRange} +${newRange} @@\n`)
    let index = first.oldStart - before
    for (const { oldStart, oldEnd, newStart, newEnd } of hunk) {
      for (; index < oldStart; index++) this.#line(' ', one, index)
      for (; index < oldEnd; index++) this.#line('-', one, index)
      for (let added = newStart; added < newEnd; added++) this.#line('+', two, added)
    }
    for (; index < last.oldEnd + after; index++) this.#line(' ', one, index)
  }

  #label({ path }: Side, index: number): ByteString {
    const label = this.#labels[index]
    if (label !== undefined) return label
    const atMs = this.#invocation.files.statIfThere(path)?.modifiedAtMs ?? this.#invocation.nowMs
    return `${path}\t${formatTime('%Y-%m-%d %H:%M:%S.%N %z', atMs)}`
  }
}

/** Lines `[from, to)` as plain `diff` counts them. */
const plainRange = (from: number, to: number): string =>
  to - from > 1 ? `${from + 1},${to}` : String(to)

function unifiedRange(start: number, size: number): string {
  if (size === 1) return String(start + 1)
  return `${size === 0 ? start : start + 1},${size}`
}

function newlines(text: ByteString): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}

export const cmp: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('sln:i:b', {
    quiet: 's',
    silent: 's',
    verbose: 'l',
    bytes: 'n',
  })
  const [first, second = '-'] = operands
  if (first === undefined) throw new ScriptFault(`missing operand after '${invocation.name}'`, 2)
  const limit = values.get('n')?.at(-1)
  const max = limit === undefined ? Infinity : wholeNumber(limit, 'invalid --bytes value', 2)
  const open = function* (path: ByteString) {
    try {
      return invocation.openInput(path)
    } catch (refusal) {
      if (!flags.has('s')) yield* invocation.complain(complaint(refusal, path))
      return undefined
    }
  }
  const one = yield* open(first)
  const two = one === undefined ? undefined : yield* open(second)
  try {
    if (one === undefined || two === undefined) return 2
    let offset = 0
    let line = 1
    let status = 0
    while (offset < max) {
      const length = Math.min(8192, max - offset)
      const left = yield* readFully(invocation, one, length)
      const right = yield* readFully(invocation, two, length)
      const common = Math.min(left.length, right.length)
      if (left === right) line += newlines(left)
      else
        for (let at = 0; at < common; at++) {
          if (left[at] !== right[at]) {
            if (flags.has('s')) return 1
            if (!flags.has('l')) {
              invocation.put(`${first} ${second} differ: char ${offset + at + 1}, line ${line}\n`)
              return 1
            }
            const octal = (text: ByteString): string => text.charCodeAt(at).toString(8).padStart(3)
            invocation.put(`${offset + at + 1} ${octal(left)} ${octal(right)}\n`)
            status = 1
          }
          if (left[at] === '\n') line++
        }
      offset += common
      if (invocation.isFull) yield* drain(invocation)
      if (left.length !== right.length) {
        const shorter = left.length < right.length ? first : second
        const where =
          offset === 0
            ? 'which is empty'
            : `after byte ${offset}, ${left.at(-1) === '\n' ? `line ${line - 1}` : `in line ${line}`}`
        yield* invocation.flush()
        if (!flags.has('s')) yield* invocation.complain(`EOF on ${shorter} ${where}`)
        return 1
      }
      if (left.length < length) return status
    }
    return status
  } finally {
    one?.release()
    two?.release()
  }
}
