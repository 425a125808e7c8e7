import { byteString, type ByteString } from '../byte-string.ts'
import { FileDescription, NullDescription, type Description } from '../description.ts'
import { complaint, LineReader, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { WaitSet, type Task } from '../wait-set.ts'
import { drain } from './lines.ts'
import { withArguments } from './arguments.ts'
import { magnitude } from './magnitude.ts'

interface Amount {
  readonly unit: 'lines' | 'bytes'
  readonly count: number
  /** The sign in front: `-` for `head`, `+` for `tail` count from the other end. */
  readonly isReversed: boolean
}

/** Takes the old form `-20` for `-n 20`. */
function modern(args: readonly ByteString[]): readonly ByteString[] {
  const [first = '', ...rest] = args
  const old = /^-(\d+)$/.exec(first)
  return old === null ? args : ['-n', old[1] ?? '', ...rest]
}

function amount(values: ReadonlyMap<string, readonly ByteString[]>, sign: '-' | '+'): Amount {
  const bytes = values.get('c')?.at(-1)
  const text = bytes ?? values.get('n')?.at(-1) ?? '10'
  const unit = bytes === undefined ? 'lines' : 'bytes'
  const count = magnitude(/^[-+]/.test(text) ? text.slice(1) : text)
  if (count === undefined) throw new ScriptFault(`invalid number of ${unit}: '${text}'`, 1)
  return { unit, count, isReversed: text.startsWith(sign) }
}

const options = { lines: 'n', bytes: 'c', quiet: 'q', silent: 'q', verbose: 'v', follow: 'f' }

/** Puts `==> name <==` in front of each of several inputs. */
function titles(invocation: Invocation, isShown: boolean): (path: ByteString) => void {
  let isFirst = true
  return (path) => {
    if (!isShown) return
    const name = path === '-' ? 'standard input' : path
    invocation.put(`${isFirst ? '' : '\n'}==> ${name} <==\n`)
    isFirst = false
  }
}

export const head: Program = (invocation) => {
  const given = withArguments(invocation, modern(invocation.args))
  const { flags, values, operands } = given.options('n:c:qv', options)
  const wanted = amount(values, '-')
  const isShown = flags.has('v') || (operands.length > 1 && !flags.has('q'))
  const title = titles(invocation, isShown)
  return invocation.eachInput(operands, function* (input, path) {
    title(path)
    if (wanted.isReversed) yield* headButLast(invocation, input, wanted)
    else if (wanted.unit === 'bytes') yield* headBytes(invocation, input, wanted.count)
    else yield* headLines(invocation, input, wanted.count)
  })
}

function* headBytes(invocation: Invocation, input: Description, count: number): Task<void> {
  let left = count
  while (left > 0) {
    const bytes = yield* invocation.read(input, Math.min(left, 8192))
    if (bytes.length === 0) return
    left -= bytes.length
    yield* invocation.write(bytes)
    yield
  }
}

function* headLines(invocation: Invocation, input: Description, count: number): Task<void> {
  const lines = new LineReader(invocation, input)
  for (let left = count; left > 0; left--) {
    const line = lines.take() ?? (yield* lines.more())
    if (line === undefined) return
    invocation.put(lines.endedWithNewline ? `${line}\n` : line)
    if (invocation.isFull) yield* drain(invocation)
  }
}

function* headButLast(invocation: Invocation, input: Description, wanted: Amount): Task<void> {
  const text = yield* invocation.readText(input)
  if (wanted.unit === 'bytes') {
    invocation.put(text.slice(0, Math.max(0, text.length - wanted.count)))
    return
  }
  invocation.put(text.slice(0, startOfLast(text, wanted.count)))
}

/** Where the last `count` lines of a text begin. */
function startOfLast(text: ByteString, count: number): number {
  let at = text.endsWith('\n') ? text.length - 1 : text.length
  if (count === 0) return text.length
  for (let left = count; left > 0; left--) {
    at = at <= 0 ? -1 : text.lastIndexOf('\n', at - 1)
    if (at < 0) return 0
  }
  return at + 1
}

/** How often `tail -f` looks at a file again. A simulated file system tells nobody of changes. */
const followEveryMs = 100

export const tail: Program = (invocation) => {
  const given = withArguments(invocation, modern(invocation.args))
  const { flags, values, operands } = given.options('n:c:qvfFs:', { ...options, retry: 'F' })
  const wanted = amount(values, '+')
  const isShown = flags.has('v') || (operands.length > 1 && !flags.has('q'))
  return flags.has('f') || flags.has('F')
    ? follow(invocation, operands.length === 0 ? ['-'] : operands, wanted, isShown, flags.has('F'))
    : tailAll(invocation, operands, wanted, isShown)
}

function tailAll(
  invocation: Invocation,
  operands: readonly ByteString[],
  wanted: Amount,
  isShown: boolean,
): Task<number> {
  const title = titles(invocation, isShown)
  return invocation.eachInput(operands, function* (input, path) {
    title(path)
    yield* tailOne(invocation, input, wanted)
  })
}

function* tailOne(invocation: Invocation, input: Description, wanted: Amount): Task<void> {
  if (wanted.isReversed) {
    yield* tailFrom(invocation, input, wanted)
    return
  }
  // Only the end is kept, whatever comes before it.
  let text = ''
  const { stringBytesMax } = invocation
  for (;;) {
    const bytes = yield* invocation.read(input)
    if (bytes.length === 0) break
    text += byteString(bytes)
    if (text.length > 65_536) text = text.slice(startOf(text, wanted))
    if (text.length > stringBytesMax) throw new ScriptFault('input too large', 1)
    yield
  }
  invocation.put(text.slice(startOf(text, wanted)))
}

const startOf = (text: ByteString, { unit, count }: Amount): number =>
  unit === 'bytes' ? Math.max(0, text.length - count) : startOfLast(text, count)

function* tailFrom(invocation: Invocation, input: Description, wanted: Amount): Task<void> {
  let skip = Math.max(0, wanted.count - 1)
  for (;;) {
    const bytes = yield* invocation.read(input)
    if (bytes.length === 0) return
    let at = 0
    if (wanted.unit === 'bytes') at = Math.min(skip, bytes.length)
    else {
      for (let left = skip; left > 0 && at < bytes.length;) {
        if (bytes[at++] === 10) left--
        if (left < skip) skip = left
      }
    }
    if (wanted.unit === 'bytes') skip -= at
    if (at < bytes.length) yield* invocation.write(bytes.slice(at))
    yield
  }
}

interface Followed {
  readonly path: ByteString
  input: Description | undefined
  inode: number
}

function* follow(
  invocation: Invocation,
  paths: readonly ByteString[],
  wanted: Amount,
  isShown: boolean,
  isByName: boolean,
): Task<number> {
  const title = titles(invocation, isShown)
  const followed: Followed[] = []
  let shown: Followed | undefined
  try {
    for (const path of paths) {
      const one: Followed = { path, input: undefined, inode: 0 }
      try {
        one.input = invocation.openInput(path)
        one.inode = one.input.stat()?.inode ?? 0
      } catch (refusal) {
        yield* invocation.complain(`cannot open '${path}' for reading: ${complaint(refusal)}`)
        if (!isByName) continue
      }
      followed.push(one)
      if (one.input === undefined) continue
      title(path)
      shown = one
      yield* tailOne(invocation, one.input, wanted)
    }
    if (followed.length === 0) return yield* invocation.fail('no files remaining')
    yield* invocation.flush()
    if (followed.every(({ input }) => input instanceof NullDescription)) return yield* stay()
    // What is no file says itself when there is more, and ends when its writers are gone.
    const [only] = followed
    if (
      followed.length === 1 &&
      only?.input !== undefined &&
      !(only.input instanceof FileDescription)
    ) {
      return 0
    }
    for (;;) {
      yield* invocation.flush()
      yield { untilMs: invocation.nowMs + followEveryMs }
      for (const one of followed) {
        if (isByName) yield* reopen(invocation, one)
        if (one.input === undefined) continue
        yield* rewind(invocation, one)
        for (;;) {
          const bytes = yield* invocation.read(one.input)
          if (bytes.length === 0) break
          if (shown !== one) title(one.path)
          shown = one
          yield* invocation.write(bytes)
          yield
        }
      }
    }
  } finally {
    for (const { input } of followed) input?.release()
  }
}

/** `tail -f /dev/null` ends when somebody ends it: nothing will ever come from there. */
function* stay(): Task<never> {
  const never = new WaitSet()
  for (;;) yield never
}

/** A file that became shorter is read from its start again. */
function* rewind(invocation: Invocation, { input, path }: Followed): Task<void> {
  if (!(input instanceof FileDescription) || input.stat().sizeBytes >= input.offset) return
  yield* invocation.complain(`${path}: file truncated`)
  input.offset = 0
}

/** `-F`: the name counts, so another file behind it is opened instead. */
function* reopen(invocation: Invocation, one: Followed): Task<void> {
  const stat = invocation.files.statIfThere(one.path)
  if (stat === undefined || (one.input !== undefined && stat.inode === one.inode)) return
  const said = one.input === undefined ? 'has appeared' : 'has been replaced'
  one.input?.release()
  one.input = undefined
  try {
    one.input = invocation.openInput(one.path)
    one.inode = stat.inode
    yield* invocation.complain(`'${one.path}' ${said};  following new file`)
  } catch (refusal) {
    yield* invocation.complain(complaint(refusal, one.path))
  }
}
