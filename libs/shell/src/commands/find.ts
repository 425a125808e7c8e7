import type { ByteString } from '../byte-string.ts'
import type { FileStat } from '../file-system.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { baseName, parentPath } from '../paths.ts'
import { Glob } from '../regex/glob.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'
import { withArguments } from './arguments.ts'
import { asciiLower } from './ascii.ts'
import { formatTime } from './calendar.ts'
import { startChild } from './children.ts'
import { blocksOf, ls } from './listing.ts'
import { findGroup, findUser, groupName, modeText, parseMode, userName } from './permissions.ts'
import { unescape } from './printf.ts'

/** One file that the walk comes to. */
interface Found {
  readonly path: ByteString
  readonly top: ByteString
  readonly depth: number
  readonly stat: FileStat
}

type Test = (found: Found, walk: Walk) => boolean | Task<boolean>

/** What the walk knows beside the expression, and what the expression tells it. */
interface Walk {
  readonly invocation: Invocation
  depthMin: number
  depthMax: number
  isDepthFirst: boolean
  isPruned: boolean
  isOver: boolean
  hasAction: boolean
  status: number
  readonly batches: Batch[]
}

/** What `-exec … +` collects. */
interface Batch {
  readonly command: readonly ByteString[]
  paths: ByteString[]
}

const pathsPerCommand = 500

export const find: Program = function* (invocation) {
  const args = [...invocation.args]
  let follows = false
  while (/^-[HLP]$/.test(args[0] ?? '')) follows = args.shift() === '-L'
  const tops: ByteString[] = []
  while (args[0] !== undefined && !/^(-.|\(|\)|!|,)/.test(args[0])) tops.push(args.shift() ?? '')
  if (tops.length === 0) tops.push('.')
  const walk: Walk = {
    invocation,
    depthMin: 0,
    depthMax: Infinity,
    isDepthFirst: false,
    isPruned: false,
    isOver: false,
    hasAction: false,
    status: 0,
    batches: [],
  }
  const test = new Parser(args, walk).whole()
  for (const top of tops) {
    if (walk.isOver) break
    yield* visit(walk, test, top, follows)
  }
  for (const batch of walk.batches) if (batch.paths.length > 0) yield* runBatch(walk, batch)
  return walk.status
}

function* visit(walk: Walk, test: Test, top: ByteString, follows: boolean): Task<void> {
  const { files } = walk.invocation
  const step = function* (path: ByteString, depth: number): Task<void> {
    let stat: FileStat
    try {
      stat = (follows ? files.statIfThere(path) : undefined) ?? files.stat(path, false)
    } catch (refusal) {
      yield* refused(walk, complaint(refusal, `'${path}'`))
      return
    }
    const found = { path, top, depth, stat }
    const isInside = depth >= walk.depthMin
    walk.isPruned = false
    if (isInside && !walk.isDepthFirst) yield* evaluate(test, found, walk)
    const descends = stat.kind === 'directory' && depth < walk.depthMax && !walk.isPruned
    if (descends && !walk.isOver) {
      let names: readonly ByteString[] = []
      try {
        names = files.list(path)
      } catch (refusal) {
        yield* refused(walk, complaint(refusal, `'${path}'`))
      }
      for (const name of names) {
        if (walk.isOver) return
        yield* step(path.endsWith('/') ? path + name : `${path}/${name}`, depth + 1)
      }
    }
    if (isInside && walk.isDepthFirst && !walk.isOver) yield* evaluate(test, found, walk)
    if (walk.invocation.isFull) yield* drain(walk.invocation)
    yield
  }
  yield* step(top, 0)
}

function* refused(walk: Walk, message: ByteString): Task<void> {
  walk.status = 1
  yield* walk.invocation.flush()
  yield* walk.invocation.complain(message)
}

function* evaluate(test: Test, found: Found, walk: Walk): Task<boolean> {
  const result = test(found, walk)
  return typeof result === 'boolean' ? result : yield* result
}

const always: Test = () => true

const depthMax = 100

class Parser {
  readonly #words: readonly ByteString[]
  readonly #walk: Walk
  #at = 0
  #depth = 0

  constructor(words: readonly ByteString[], walk: Walk) {
    this.#words = words
    this.#walk = walk
  }

  whole(): Test {
    const test = this.#words.length === 0 ? always : this.#or()
    const rest = this.#words[this.#at]
    if (rest !== undefined) throw new ScriptFault(`paths must precede expression: \`${rest}'`, 1)
    return this.#walk.hasAction ? test : both(test, print('\n'))
  }

  #or(): Test {
    if (++this.#depth > depthMax) throw new ScriptFault('expression too deep', 1)
    let left = this.#and()
    while (this.#take('-o') || this.#take('-or')) left = either(left, this.#and())
    this.#depth--
    return left
  }

  #and(): Test {
    let left = this.#not()
    for (;;) {
      const word = this.#words[this.#at]
      if (word === undefined || word === ')' || word === '-o' || word === '-or') return left
      if (!this.#take('-a')) this.#take('-and')
      left = both(left, this.#not())
    }
  }

  #not(): Test {
    let isNegated = false
    while (this.#take('!') || this.#take('-not')) isNegated = !isNegated
    const test = this.#primary()
    return isNegated ? negated(test) : test
  }

  #primary(): Test {
    const word = this.#words[this.#at++]
    if (word === undefined) throw new ScriptFault('expected an expression', 1)
    const walk = this.#walk
    const { files, nowMs } = walk.invocation
    switch (word) {
      case '(': {
        const test = this.#or()
        if (!this.#take(')')) {
          throw new ScriptFault(
            "invalid expression; I was expecting to find a ')' somewhere but did not see one.",
            1,
          )
        }
        return test
      }
      case '-true':
        return always
      case '-false':
        return () => false
      case '-depth':
        walk.isDepthFirst = true
        return always
      case '-maxdepth':
        walk.depthMax = this.#number(word)
        return always
      case '-mindepth':
        walk.depthMin = this.#number(word)
        return always
      case '-mount':
      case '-xdev':
        return always
      case '-name':
      case '-iname': {
        const ignoresCase = word === '-iname'
        const pattern = this.#value(word)
        const glob = new Glob(ignoresCase ? asciiLower(pattern) : pattern)
        return ({ path }) => {
          const name = baseName(path)
          return glob.matches(ignoresCase ? asciiLower(name) : name)
        }
      }
      case '-path':
      case '-wholename': {
        const glob = new Glob(this.#value(word))
        return ({ path }) => glob.matches(path)
      }
      case '-type': {
        const kinds = this.#value(word)
          .split(',')
          .map((letter) => {
            const kind = { f: 'file', d: 'directory', l: 'symlink' }[letter]
            if (kind === undefined && !/^[bcps]$/.test(letter)) {
              throw new ScriptFault(`Unknown argument to -type: ${letter}`, 1)
            }
            return kind
          })
        return ({ stat }) => kinds.includes(stat.kind)
      }
      case '-size': {
        const match = /^([-+]?)(\d{1,15})([bcwkMG]?)$/.exec(this.#value(word))
        if (match === null) throw new ScriptFault(`Invalid argument to -size`, 1)
        const [, sign = '', digits = '', unit = ''] = match
        const sizes = { '': 512, b: 512, c: 1, w: 2, k: 1024, M: 1_048_576, G: 1_073_741_824 }
        const unitBytes = sizes[unit as keyof typeof sizes]
        return ({ stat }) => compared(sign, Math.ceil(stat.sizeBytes / unitBytes), Number(digits))
      }
      case '-empty':
        return ({ stat, path }) =>
          stat.kind === 'directory'
            ? files.list(path).length === 0
            : stat.kind === 'file' && stat.sizeBytes === 0
      case '-perm':
        return permission(this.#value(word))
      case '-user':
      case '-uid': {
        const text = this.#value(word)
        const uid = findUser(walk.invocation, text)
        if (uid === undefined) throw new ScriptFault(`'${text}' is not the name of a known user`, 1)
        return ({ stat }) => stat.uid === uid
      }
      case '-group':
      case '-gid': {
        const text = this.#value(word)
        const gid = findGroup(walk.invocation, text)
        if (gid === undefined)
          throw new ScriptFault(`'${text}' is not the name of an existing group`, 1)
        return ({ stat }) => stat.gid === gid
      }
      case '-newer': {
        const than = files.stat(this.#value(word)).modifiedAtMs
        return ({ stat }) => stat.modifiedAtMs > than
      }
      case '-mtime':
      case '-mmin': {
        const match = /^([-+]?)(\d{1,9})$/.exec(this.#value(word))
        if (match === null) throw new ScriptFault(`invalid argument to \`${word}'`, 1)
        const unitMs = word === '-mtime' ? 86_400_000 : 60_000
        const [, sign = '', digits = ''] = match
        return ({ stat }) =>
          compared(sign, Math.floor((nowMs - stat.modifiedAtMs) / unitMs), Number(digits))
      }
      case '-links': {
        const wanted = this.#number(word)
        return ({ stat }) => stat.links === wanted
      }
      case '-inum': {
        const wanted = this.#number(word)
        return ({ stat }) => stat.inode === wanted
      }
      case '-readable':
        return ({ stat }) => files.mayAccess(stat, 4)
      case '-writable':
        return ({ stat }) => files.mayAccess(stat, 2)
      case '-executable':
        return ({ stat }) => files.mayAccess(stat, 1)
      case '-print':
        return this.#action(print('\n'))
      case '-print0':
        return this.#action(print('\0'))
      case '-printf': {
        const format = this.#value(word)
        return this.#action((found) => {
          walk.invocation.put(formatted(walk.invocation, format, found))
          return true
        })
      }
      case '-ls':
        return this.#action(function* ({ path }) {
          const listed = withArguments(walk.invocation, ['-dils', '--', path])
          const result = ls(listed)
          if (typeof result !== 'number') yield* result
          yield* listed.flush()
          return true
        })
      case '-prune':
        return () => {
          walk.isPruned = true
          return true
        }
      case '-quit':
        return this.#action(() => {
          walk.isOver = true
          return true
        })
      case '-delete':
        walk.isDepthFirst = true
        return this.#action(remove)
      case '-exec':
      case '-execdir':
        return this.#action(this.#exec(word === '-execdir'))
      default:
        throw new ScriptFault(`unknown predicate \`${word}'`, 1)
    }
  }

  #exec(isInDirectory: boolean): Test {
    const command: ByteString[] = []
    for (;;) {
      const word = this.#words[this.#at++]
      if (word === undefined) throw new ScriptFault("missing argument to `-exec'", 1)
      if (word === ';') break
      if (word === '+' && command.at(-1) === '{}') {
        if (isInDirectory) throw new ScriptFault('-execdir with + is not supported', 1)
        const batch: Batch = { command: command.slice(0, -1), paths: [] }
        this.#walk.batches.push(batch)
        return function* ({ path }, walk) {
          batch.paths.push(path)
          if (batch.paths.length >= pathsPerCommand) yield* runBatch(walk, batch)
          return true
        }
      }
      command.push(word)
    }
    return function* ({ path }, { invocation }) {
      yield* invocation.flush()
      const at = isInDirectory ? `./${baseName(path)}` : path
      const argv = command.map((word) => word.replaceAll('{}', () => at))
      const cwd = isInDirectory ? invocation.files.realPath(parentPath(path)) : undefined
      return (yield* execute(invocation, argv, cwd)) === 0
    }
  }

  #action(test: Test): Test {
    this.#walk.hasAction = true
    return test
  }

  #take(word: ByteString): boolean {
    if (this.#words[this.#at] !== word) return false
    this.#at++
    return true
  }

  #value(predicate: ByteString): ByteString {
    const word = this.#words[this.#at++]
    if (word === undefined) throw new ScriptFault(`missing argument to \`${predicate}'`, 1)
    return word
  }

  #number(predicate: ByteString): number {
    const text = this.#value(predicate)
    if (!/^\d{1,12}$/.test(text)) {
      throw new ScriptFault(
        `Expected a positive decimal integer argument to ${predicate}, but got '${text}'`,
        1,
      )
    }
    return Number(text)
  }
}

const both = (left: Test, right: Test): Test =>
  function* (found, walk) {
    return (yield* evaluate(left, found, walk)) && (yield* evaluate(right, found, walk))
  }

const either = (left: Test, right: Test): Test =>
  function* (found, walk) {
    return (yield* evaluate(left, found, walk)) || (yield* evaluate(right, found, walk))
  }

const negated = (test: Test): Test =>
  function* (found, walk) {
    return !(yield* evaluate(test, found, walk))
  }

const print =
  (end: ByteString): Test =>
  ({ path }, { invocation }) => {
    invocation.put(path + end)
    return true
  }

function compared(sign: string, value: number, wanted: number): boolean {
  if (sign === '+') return value > wanted
  return sign === '-' ? value < wanted : value === wanted
}

/** `-perm MODE` exactly, `-MODE` all of these bits, `/MODE` any of them. */
function permission(text: ByteString): Test {
  const sign = /^[-/]/.exec(text)?.[0] ?? ''
  const bits = parseMode(text.slice(sign.length), 0)(0, false)
  return ({ stat }) => {
    if (sign === '-') return (stat.mode & bits) === bits
    if (sign === '/') return bits === 0 || (stat.mode & bits) !== 0
    return stat.mode === bits
  }
}

function* remove({ path, stat }: Found, walk: Walk): Task<boolean> {
  if (path === '.' || path === './') return true
  try {
    if (stat.kind === 'directory') walk.invocation.files.rmdir(path)
    else walk.invocation.files.unlink(path)
    return true
  } catch (refusal) {
    yield* refused(walk, `cannot delete '${path}': ${complaint(refusal)}`)
    return false
  }
}

function* execute(
  invocation: Invocation,
  argv: readonly ByteString[],
  cwd?: ByteString,
): Task<number> {
  const child = startChild(invocation, argv)
  if (typeof child === 'string') {
    yield* invocation.complain(`'${argv[0] ?? ''}': ${child}`)
    return 127
  }
  if (cwd !== undefined) child.cwd = cwd
  while (child.status === undefined) yield child.ended
  return child.status.exitCode
}

function* runBatch(walk: Walk, batch: Batch): Task<void> {
  const { paths } = batch
  batch.paths = []
  yield* walk.invocation.flush()
  const status = yield* execute(walk.invocation, [...batch.command, ...paths])
  if (status !== 0) walk.status = 1
}

function formatted(invocation: Invocation, format: ByteString, found: Found): ByteString {
  const { path, top, depth, stat } = found
  const fields: Readonly<Record<string, () => ByteString>> = {
    p: () => path,
    f: () => baseName(path),
    h: () => parentPath(path),
    P: () => path.slice(top.length).replace(/^\//, ''),
    H: () => top,
    d: () => String(depth),
    s: () => String(stat.sizeBytes),
    k: () => String(blocksOf(stat)),
    b: () => String(blocksOf(stat) * 2),
    m: () => stat.mode.toString(8),
    M: () => modeText(stat),
    n: () => String(stat.links),
    i: () => String(stat.inode),
    u: () => userName(invocation, stat.uid),
    U: () => String(stat.uid),
    g: () => groupName(invocation, stat.gid),
    G: () => String(stat.gid),
    y: () => ({ file: 'f', directory: 'd', symlink: 'l' })[stat.kind],
    l: () => (stat.kind === 'symlink' ? invocation.files.readlink(path) : ''),
    t: () => formatTime('%a %b %e %H:%M:%S.%N0 %Y', stat.modifiedAtMs),
    '%': () => '%',
  }
  return unescape(format, false).text.replace(
    /%(?:T(.)|([a-zA-Z%]))/g,
    (whole, time?: string, letter = '') => {
      if (time === '@')
        return `${Math.floor(stat.modifiedAtMs / 1000)}.${formatTime('%N', stat.modifiedAtMs)}0`
      if (time !== undefined) return formatTime(`%${time}`, stat.modifiedAtMs)
      const field = Object.hasOwn(fields, letter as string) ? fields[letter as string] : undefined
      if (field === undefined) throw new ScriptFault(`unrecognized format directive '${whole}'`, 1)
      return field()
    },
  )
}
