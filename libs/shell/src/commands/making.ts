import type { ByteString } from '../byte-string.ts'
import { FileDescription } from '../description.ts'
import { FileSystemError, type FileStat } from '../file-system.ts'
import { complaint, type Invocation, type Options, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { baseName, normalPath, parentPath, withoutTrailingSlashes } from '../paths.ts'
import type { Task } from '../wait-set.ts'
import { withArguments } from './arguments.ts'
import { parseTime } from './calendar.ts'
import { writeInto } from './lines.ts'
import { magnitude } from './magnitude.ts'
import { findGroup, findUser, parseMode, type ModeChange } from './permissions.ts'

/** Does `each` for every operand; a refusal is complained about as `what 'path': why`. */
function* eachPath(
  invocation: Invocation,
  paths: readonly ByteString[],
  what: string,
  each: (path: ByteString) => void | Task<void>,
): Task<number> {
  let status = 0
  for (const path of paths) {
    try {
      const work = each(path)
      if (work !== undefined) yield* work
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      yield* invocation.flush()
      yield* invocation.complain(`${what} '${path}': ${complaint(refusal)}`)
      status = 1
    }
    yield
  }
  return status
}

function needOperand({ operands }: Options): void {
  if (operands.length === 0) throw new ScriptFault('missing operand', 1)
}

const prefixes = (path: ByteString): ByteString[] => {
  const names = path.split('/').filter((name) => name !== '')
  const start = path.startsWith('/') ? '/' : ''
  return names.map((_, index) => start + names.slice(0, index + 1).join('/'))
}

export const mkdir: Program = (invocation) => {
  const options = invocation.options('pm:v', { parents: 'p', mode: 'm', verbose: 'v' })
  needOperand(options)
  const { flags, values, operands } = options
  const { files, process } = invocation
  const mode = values.get('m')?.at(-1)
  const change: ModeChange | undefined =
    mode === undefined ? undefined : parseMode(mode, process.umask)
  const make = (path: ByteString): void => {
    files.mkdir(path)
    if (flags.has('v')) invocation.put(`${invocation.name}: created directory '${path}'\n`)
  }
  const setMode = (path: ByteString): void => {
    if (change !== undefined) files.chmod(path, change(0o777, false))
  }
  return eachPath(invocation, operands, 'cannot create directory', (path) => {
    if (!flags.has('p')) {
      make(path)
      setMode(path)
      return
    }
    const all = prefixes(path)
    for (const [index, prefix] of all.entries()) {
      const kind = files.statIfThere(prefix)?.kind
      if (kind === 'directory') continue
      if (kind !== undefined)
        throw new FileSystemError(index === all.length - 1 ? 'EEXIST' : 'ENOTDIR', prefix)
      make(prefix)
      if (index === all.length - 1) setMode(prefix)
    }
  })
}

export const rmdir: Program = (invocation) => {
  const options = invocation.options('pvi', {
    parents: 'p',
    verbose: 'v',
    'ignore-fail-on-non-empty': 'i',
  })
  needOperand(options)
  const { flags, operands } = options
  return eachPath(invocation, operands, 'failed to remove', (path) => {
    for (const prefix of flags.has('p') ? prefixes(path).toReversed() : [path]) {
      try {
        invocation.files.rmdir(prefix)
      } catch (refusal) {
        const isNotEmpty = refusal instanceof FileSystemError && refusal.posix === 'ENOTEMPTY'
        if (isNotEmpty && flags.has('i')) return
        throw refusal
      }
    }
  })
}

export const rm: Program = function* (invocation) {
  const { flags, operands } = invocation.options('rRfdviI', {
    recursive: 'r',
    force: 'f',
    dir: 'd',
    verbose: 'v',
  })
  const isForced = flags.has('f')
  if (operands.length === 0) {
    if (isForced) return 0
    throw new ScriptFault('missing operand', 1)
  }
  const remover = new Remover(invocation, flags)
  for (const path of operands) {
    if (['.', '..'].includes(baseName(path))) {
      yield* remover.refused(`refusing to remove '.' or '..' directory: skipping '${path}'`)
    } else if (/^\/+$/.test(path)) {
      yield* remover.refused("it is dangerous to operate recursively on '/'")
    } else yield* remover.remove(path)
  }
  return remover.status
}

class Remover {
  status = 0
  #refusals = 0
  readonly #invocation: Invocation
  readonly #flags: ReadonlySet<string>

  constructor(invocation: Invocation, flags: ReadonlySet<string>) {
    this.#invocation = invocation
    this.#flags = flags
  }

  *remove(path: ByteString): Task<void> {
    const { files } = this.#invocation
    let kind: FileStat['kind']
    try {
      ;({ kind } = files.stat(path, false))
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      const isMissing = refusal.posix === 'ENOENT' || refusal.posix === 'ENOTDIR'
      if (isMissing && this.#flags.has('f')) return
      yield* this.refused(`cannot remove '${path}': ${complaint(refusal)}`)
      return
    }
    yield
    try {
      if (kind !== 'directory') files.unlink(path)
      else if (this.#flags.has('r') || this.#flags.has('R')) {
        const before = this.#refusals
        for (const name of files.list(path))
          yield* this.remove(`${withoutTrailingSlashes(path)}/${name}`)
        // What is inside and stays has been complained about already.
        if (this.#refusals > before) return
        files.rmdir(path)
      } else if (this.#flags.has('d')) files.rmdir(path)
      else {
        yield* this.refused(`cannot remove '${path}': Is a directory`)
        return
      }
      if (this.#flags.has('v')) {
        this.#invocation.put(`removed ${kind === 'directory' ? 'directory ' : ''}'${path}'\n`)
      }
    } catch (refusal) {
      yield* this.refused(`cannot remove '${path}': ${complaint(refusal)}`)
    }
  }

  *refused(message: ByteString): Task<void> {
    this.status = 1
    this.#refusals++
    yield* this.#invocation.flush()
    yield* this.#invocation.complain(message)
  }
}

/** Sources and the place each of them goes to, as `cp`, `mv` and `ln` find it. */
export function targets(
  invocation: Invocation,
  { flags, values, operands }: Options,
): readonly (readonly [source: ByteString, target: ByteString])[] {
  const directory = values.get('t')?.at(-1)
  const sources = [...operands]
  if (sources.length === 0) throw new ScriptFault('missing file operand', 1)
  const last = directory ?? (sources.length > 1 ? sources.pop() : undefined)
  const [first = ''] = sources
  if (last === undefined) {
    throw new ScriptFault(`missing destination file operand after '${first}'`, 1)
  }
  const isPlain = flags.has('T')
  const isDirectory = !isPlain && invocation.files.statIfThere(last)?.kind === 'directory'
  if (isDirectory) {
    return sources.map((source) => [source, `${withoutTrailingSlashes(last)}/${baseName(source)}`])
  }
  if (sources.length > 1 || directory !== undefined) {
    const why =
      invocation.files.statIfThere(last) === undefined
        ? 'No such file or directory'
        : 'Not a directory'
    throw new ScriptFault(`target '${last}': ${why}`, 1)
  }
  return [[first, last]]
}

const placeOptions = {
  'target-directory': 't',
  'no-target-directory': 'T',
  force: 'f',
  'no-clobber': 'n',
  verbose: 'v',
  update: 'u',
}

export const cp: Program = function* (invocation) {
  const options = invocation.options('rRfpadPLHnvut:T', {
    ...placeOptions,
    recursive: 'r',
    archive: 'a',
    dereference: 'L',
    'no-dereference': 'P',
  })
  const { flags } = options
  const copier = new Copier(invocation, flags)
  for (const [source, target] of targets(invocation, options))
    yield* copier.copy(source, target, true)
  return copier.status
}

/** Copies trees, byte by byte and without a string of their contents. */
export class Copier {
  status = 0
  readonly #invocation: Invocation
  readonly #isRecursive: boolean
  readonly #keepsAttributes: boolean
  readonly #keepsLinks: boolean
  readonly #has: (letter: string) => boolean

  constructor(invocation: Invocation, flags: ReadonlySet<string>) {
    this.#invocation = invocation
    this.#has = (letter) => flags.has(letter)
    this.#isRecursive = flags.has('r') || flags.has('R') || flags.has('a')
    this.#keepsAttributes = flags.has('p') || flags.has('a')
    this.#keepsLinks = ['P', 'd', 'a'].some((letter) => flags.has(letter))
  }

  *copy(source: ByteString, target: ByteString, isOperand: boolean): Task<void> {
    yield
    const { files } = this.#invocation
    const keepsLink = this.#keepsLinks || (this.#isRecursive && !isOperand && !this.#has('L'))
    const followsLink = !keepsLink && !(this.#isRecursive && !this.#has('L') && !this.#has('H'))
    let found: FileStat
    try {
      found = files.stat(source, followsLink)
    } catch (refusal) {
      yield* this.#refused(`cannot stat '${source}': ${complaint(refusal)}`)
      return
    }
    const there = files.statIfThere(target)
    const isSame =
      there !== undefined &&
      there.inode !== 0 &&
      there.inode === found.inode &&
      there.device === found.device
    if (isSame && found.kind === 'file') {
      yield* this.#refused(`'${source}' and '${target}' are the same file`)
      return
    }
    if (this.#has('n') && there !== undefined && found.kind !== 'directory') return
    if (this.#has('u') && there !== undefined && there.modifiedAtMs >= found.modifiedAtMs) return
    if (found.kind === 'directory' && !this.#isRecursive) {
      yield* this.#refused(`-r not specified; omitting directory '${source}'`)
      return
    }
    try {
      if (found.kind === 'directory') yield* this.#directory(source, target, found, there)
      else if (found.kind === 'symlink') {
        if (files.statIfThere(target, false) !== undefined) files.unlink(target)
        files.symlink(files.readlink(source), target)
      } else yield* this.#file(source, target, found, there)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      yield* this.#refused(`${this.#doing(refusal, source, target)}: ${complaint(refusal)}`)
      return
    }
    if (this.#has('v')) this.#invocation.put(`'${source}' -> '${target}'\n`)
    if (this.#keepsAttributes && found.kind !== 'symlink') this.keepAttributes(target, found)
  }

  keepAttributes(target: ByteString, found: FileStat): void {
    const { files } = this.#invocation
    try {
      files.chown(target, found.uid, found.gid)
    } catch (refusal) {
      // Only root may give files away, and nobody else expects it.
      if (!(refusal instanceof FileSystemError)) throw refusal
    }
    files.chmod(target, found.mode)
    files.utimes(target, found.modifiedAtMs, found.modifiedAtMs)
  }

  *#directory(
    source: ByteString,
    target: ByteString,
    found: FileStat,
    there: FileStat | undefined,
  ): Task<void> {
    const { files } = this.#invocation
    if (there !== undefined && there.kind !== 'directory') {
      yield* this.#refused(`cannot overwrite non-directory '${target}' with directory '${source}'`)
      return
    }
    const inside = `${files.realPath(source)}/`
    if (`${files.realPath(target)}/`.startsWith(inside)) {
      yield* this.#refused(`cannot copy a directory, '${source}', into itself, '${target}'`)
      return
    }
    if (there === undefined) files.mkdir(target, found.mode | 0o700)
    for (const name of files.list(source)) {
      yield* this.copy(`${source}/${name}`, `${target}/${name}`, false)
    }
    if (there === undefined && !this.#keepsAttributes) {
      files.chmod(target, found.mode & ~this.#invocation.process.umask)
    }
  }

  *#file(
    source: ByteString,
    target: ByteString,
    found: FileStat,
    there: FileStat | undefined,
  ): Task<void> {
    const { files } = this.#invocation
    if (there?.kind === 'directory') {
      yield* this.#refused(`cannot overwrite directory '${target}' with non-directory`)
      return
    }
    const input = files.open(source).retain()
    try {
      const flags = { write: true, create: true, truncate: true, mode: found.mode }
      let output
      try {
        output = files.open(target, flags).retain()
      } catch (refusal) {
        const isDenied = refusal instanceof FileSystemError && refusal.posix === 'EACCES'
        if (!isDenied || !this.#has('f')) throw refusal
        files.unlink(target)
        output = files.open(target, flags).retain()
      }
      try {
        for (;;) {
          const bytes = yield* this.#invocation.read(input, 65_536)
          if (bytes.length === 0) break
          yield* writeInto(output, bytes)
          yield
        }
      } finally {
        output.release()
      }
    } finally {
      input.release()
    }
  }

  #doing(refusal: FileSystemError, source: ByteString, target: ByteString): ByteString {
    if (this.#invocation.files.statIfThere(source) !== undefined && !this.#isReadable(source)) {
      return `cannot open '${source}' for reading`
    }
    if (refusal.posix === 'ENOSPC') return `error writing '${target}'`
    return `cannot create regular file '${target}'`
  }

  #isReadable(path: ByteString): boolean {
    const { files } = this.#invocation
    return files.mayAccess(files.stat(path), 4)
  }

  *#refused(message: ByteString): Task<void> {
    this.status = 1
    yield* this.#invocation.flush()
    yield* this.#invocation.complain(message)
  }
}

export const mv: Program = function* (invocation) {
  const options = invocation.options('fnivut:T', placeOptions)
  const { files } = invocation
  let status = 0
  const refuse = function* (message: ByteString): Task<void> {
    status = 1
    yield* invocation.flush()
    yield* invocation.complain(message)
  }
  for (const [source, target] of targets(invocation, options)) {
    yield
    let found: FileStat
    try {
      found = files.stat(source, false)
    } catch (refusal) {
      yield* refuse(`cannot stat '${source}': ${complaint(refusal)}`)
      continue
    }
    const there = files.statIfThere(target, false)
    if (options.flags.has('n') && there !== undefined) continue
    const isSame = there !== undefined && there.inode !== 0 && there.inode === found.inode
    if (
      isSame &&
      there.device === found.device &&
      files.absolute(source) === files.absolute(target)
    ) {
      yield* refuse(`'${source}' and '${target}' are the same file`)
      continue
    }
    if (there?.kind === 'directory' && found.kind !== 'directory') {
      yield* refuse(`cannot overwrite directory '${target}' with non-directory '${source}'`)
      continue
    }
    if (there !== undefined && there.kind !== 'directory' && found.kind === 'directory') {
      yield* refuse(`cannot overwrite non-directory '${target}' with directory '${source}'`)
      continue
    }
    try {
      files.rename(source, target)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      if (refusal.posix === 'EXDEV') {
        // Another mount: copied with everything that belongs to it, then removed here.
        const copier = new Copier(invocation, new Set('a'))
        yield* copier.copy(source, target, true)
        const remover = new Remover(invocation, new Set('rf'))
        if (copier.status === 0) yield* remover.remove(source)
        status = Math.max(status, copier.status, remover.status)
      } else if (refusal.posix === 'EINVAL') {
        yield* refuse(`cannot move '${source}' to a subdirectory of itself, '${target}'`)
      } else yield* refuse(`cannot move '${source}' to '${target}': ${complaint(refusal)}`)
      continue
    }
    if (options.flags.has('v')) invocation.put(`renamed '${source}' -> '${target}'\n`)
  }
  return status
}

export const ln: Program = function* (invocation) {
  const options = invocation.options('sfnvrt:T', {
    ...placeOptions,
    symbolic: 's',
    'no-dereference': 'n',
    relative: 'r',
  })
  const { flags } = options
  if (flags.has('r')) throw new ScriptFault("unrecognized option '--relative'", 1)
  const { files } = invocation
  const operands =
    options.operands.length === 1 && !options.values.has('t')
      ? [...options.operands, '.']
      : options.operands
  const last = operands.at(-1) ?? ''
  const isLinkToReplace = flags.has('n') && files.statIfThere(last, false)?.kind === 'symlink'
  const pairs = targets(invocation, {
    ...options,
    operands,
    flags: isLinkToReplace ? new Set([...flags, 'T']) : flags,
  })
  let status = 0
  for (const [source, target] of pairs) {
    try {
      const there = files.statIfThere(target, false)
      if (flags.has('f') && there !== undefined && there.kind !== 'directory') files.unlink(target)
      if (flags.has('s')) files.symlink(source, target)
      else {
        if (files.stat(source).kind === 'directory') {
          yield* invocation.complain(`${source}: hard link not allowed for directory`)
          status = 1
          continue
        }
        files.link(source, target)
      }
      if (flags.has('v')) invocation.put(`'${target}' -> '${source}'\n`)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      const isMissing = !flags.has('s') && files.statIfThere(source) === undefined
      const kind = flags.has('s') ? 'symbolic' : 'hard'
      const what = isMissing
        ? `failed to access '${source}'`
        : flags.has('s') && refusal.posix !== 'EEXIST'
          ? `failed to create ${kind} link '${target}' -> '${source}'`
          : `failed to create ${kind} link '${target}'`
      yield* invocation.complain(`${what}: ${complaint(refusal)}`)
      status = 1
    }
    yield
  }
  return status
}

export const readlink: Program = (invocation) => {
  const { flags, operands } = invocation.options('fenmzqsv', {
    canonicalize: 'f',
    'canonicalize-existing': 'e',
    'canonicalize-missing': 'm',
    'no-newline': 'n',
    zero: 'z',
  })
  if (operands.length === 0) throw new ScriptFault('missing operand', 1)
  const { files } = invocation
  const end = flags.has('z') ? '\0' : flags.has('n') && operands.length === 1 ? '' : '\n'
  let text = ''
  let status = 0
  for (const path of operands) {
    try {
      if (flags.has('m')) text += realOrMissing(invocation, path) + end
      else if (flags.has('f') || flags.has('e')) {
        const real = files.realPath(path)
        if (flags.has('e')) files.stat(real)
        text += real + end
      } else text += files.readlink(path) + end
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      status = 1
    }
  }
  return invocation.answer(text, status)
}

/** As far as it exists resolved, the rest by text alone. */
function realOrMissing(invocation: Invocation, path: ByteString): ByteString {
  try {
    return invocation.files.realPath(path)
  } catch (refusal) {
    if (!(refusal instanceof FileSystemError) || refusal.posix !== 'ENOENT') throw refusal
    const base = realOrMissing(invocation, parentPath(path))
    return `${base === '/' ? '' : base}/${baseName(path)}`
  }
}

export const realpath: Program = function* (invocation) {
  const { flags, operands } = invocation.options('emsqzL', {
    'canonicalize-existing': 'e',
    'canonicalize-missing': 'm',
    strip: 's',
    'no-symlinks': 's',
    quiet: 'q',
    zero: 'z',
  })
  if (operands.length === 0) throw new ScriptFault('missing operand', 1)
  let status = 0
  for (const path of operands) {
    try {
      const { files } = invocation
      const real = flags.has('s')
        ? normalPath(files.absolute(path))
        : flags.has('m')
          ? realOrMissing(invocation, path)
          : files.realPath(path)
      if (flags.has('e')) files.stat(real)
      invocation.put(real + (flags.has('z') ? '\0' : '\n'))
    } catch (refusal) {
      status = 1
      if (!flags.has('q')) yield* invocation.complain(complaint(refusal, path))
    }
  }
  return status
}

/** Every path at and below `path`, the directory itself first. Links are not followed. */
function* tree(invocation: Invocation, path: ByteString, isRecursive: boolean): Task<ByteString[]> {
  const all = [path]
  if (!isRecursive) return all
  for (let at = 0; at < all.length; at++) {
    const one = all[at] ?? ''
    if (invocation.files.statIfThere(one, false)?.kind !== 'directory') continue
    for (const name of invocation.files.list(one))
      all.push(`${withoutTrailingSlashes(one)}/${name}`)
    yield
  }
  return all
}

export const chmod: Program = function* (invocation) {
  // A mode such as `-x` or `-w+r` looks like an option.
  const args = invocation.args.flatMap((arg) =>
    /^-[rwxXstugo]+([-+=,].*)?$/.test(arg) && !/^-R$/.test(arg) ? ['--mode', arg] : [arg],
  )
  const { flags, values, operands } = withArguments(invocation, args).options('Rvfcm:r:', {
    recursive: 'R',
    verbose: 'v',
    silent: 'f',
    changes: 'c',
    mode: 'm',
    reference: 'r',
  })
  const paths = [...operands]
  const reference = values.get('r')?.at(-1)
  const text =
    reference === undefined
      ? (values.get('m')?.at(-1) ?? paths.shift())
      : invocation.files.stat(reference).mode.toString(8)
  if (text === undefined) throw new ScriptFault('missing operand', 1)
  if (paths.length === 0) throw new ScriptFault(`missing operand after '${text}'`, 1)
  const change = parseMode(text, invocation.process.umask)
  return yield* eachPath(invocation, paths, 'cannot access', function* (path) {
    for (const one of yield* tree(invocation, path, flags.has('R'))) {
      const found = invocation.files.stat(one, false)
      if (found.kind === 'symlink' && one !== path) continue
      const target = found.kind === 'symlink' ? invocation.files.stat(one) : found
      invocation.files.chmod(one, change(target.mode, target.kind === 'directory'))
    }
  })
}

export const chown: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('Rvfchr:', {
    recursive: 'R',
    'no-dereference': 'h',
    reference: 'r',
  })
  const isGroupOnly = invocation.name === 'chgrp'
  const paths = [...operands]
  const reference = values.get('r')?.at(-1)
  const whom = reference === undefined ? paths.shift() : ''
  if (whom === undefined) throw new ScriptFault('missing operand', 1)
  if (paths.length === 0) throw new ScriptFault(`missing operand after '${whom}'`, 1)
  const owner =
    reference === undefined
      ? ownerOf(invocation, whom, isGroupOnly)
      : invocation.files.stat(reference)
  return yield* eachPath(
    invocation,
    paths,
    `changing ${isGroupOnly ? 'group' : 'ownership'} of`,
    function* (path) {
      for (const one of yield* tree(invocation, path, flags.has('R'))) {
        const found = invocation.files.stat(one)
        invocation.files.chown(one, owner.uid ?? found.uid, owner.gid ?? found.gid)
      }
    },
  )
}

/** `user`, `user:group`, `user:` (with the user's own group) or `:group`. */
function ownerOf(
  invocation: Invocation,
  text: ByteString,
  isGroupOnly: boolean,
): { readonly uid: number | undefined; readonly gid: number | undefined } {
  const cut = text.search(/[:.]/)
  const user = isGroupOnly ? '' : cut < 0 ? text : text.slice(0, cut)
  const group = isGroupOnly ? text : cut < 0 ? '' : text.slice(cut + 1)
  const uid = user === '' ? undefined : findUser(invocation, user)
  if (user !== '' && uid === undefined) throw new ScriptFault(`invalid user: '${text}'`, 1)
  if (group !== '') {
    const gid = findGroup(invocation, group)
    if (gid === undefined) throw new ScriptFault(`invalid group: '${text}'`, 1)
    return { uid, gid }
  }
  const ownGroup = cut < 0 ? undefined : findGroup(invocation, user)
  return { uid, gid: ownGroup }
}

export const touch: Program = (invocation) => {
  const options = invocation.options('acmhd:r:t:', {
    'no-create': 'c',
    date: 'd',
    reference: 'r',
    'no-dereference': 'h',
  })
  if (options.operands.length === 0) throw new ScriptFault('missing file operand', 1)
  const { flags, values, operands } = options
  const { files } = invocation
  const reference = values.get('r')?.at(-1)
  const date = values.get('d')?.at(-1)
  const stamp = values.get('t')?.at(-1)
  const given =
    date !== undefined
      ? parseTime(date, invocation.nowMs)
      : stamp !== undefined
        ? parseStamp(stamp, invocation.nowMs)
        : reference === undefined
          ? invocation.nowMs
          : files.stat(reference).modifiedAtMs
  if (given === undefined) throw new ScriptFault(`invalid date format '${date ?? stamp ?? ''}'`, 1)
  return eachPath(invocation, operands, 'cannot touch', (path) => {
    if (path.startsWith('/dev/') && files.statIfThere(path) !== undefined) return
    if (files.statIfThere(path) === undefined) {
      if (flags.has('c')) return
      files.open(path, { write: true, create: true }).retain().release()
    }
    files.utimes(path, given, given)
  })
}

/** `[[CC]YY]MMDDhhmm[.ss]`. */
function parseStamp(text: ByteString, nowMs: number): number | undefined {
  const match = /^(\d{4}|\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d\d))?$/.exec(text)
  if (match === null) return undefined
  const [
    ,
    year = String(new Date(nowMs).getUTCFullYear()),
    month,
    day,
    hour,
    minute,
    second = '0',
  ] = match
  const century = year.length === 4 ? 0 : Number(year) < 69 ? 2000 : 1900
  return Date.UTC(
    Number(year) + century,
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  )
}

/** `truncate -s SIZE`, with `+` and `-` in front for more or less than it has. */
export const truncate: Program = (invocation) => {
  const { flags, values, operands } = invocation.options('cs:r:', {
    'no-create': 'c',
    size: 's',
    reference: 'r',
  })
  if (operands.length === 0) throw new ScriptFault('missing file operand', 1)
  const { files } = invocation
  const reference = values.get('r')?.at(-1)
  const text = values.get('s')?.at(-1)
  if (text === undefined && reference === undefined) {
    throw new ScriptFault("you must specify either '--size' or '--reference'", 1)
  }
  const sign = /^[-+]/.exec(text ?? '')?.[0] ?? ''
  const amount = text === undefined ? 0 : magnitude(text.slice(sign.length))
  if (amount === undefined) throw new ScriptFault(`Invalid number: '${text ?? ''}'`, 1)
  const base = reference === undefined ? 0 : files.stat(reference).sizeBytes
  return eachPath(invocation, operands, 'cannot open', (path) => {
    if (flags.has('c') && files.statIfThere(path) === undefined) return
    const output = files.open(path, { write: true, create: true }).retain()
    try {
      if (!(output instanceof FileDescription)) throw new FileSystemError('EINVAL', path)
      const before = sign === '' ? base : output.stat().sizeBytes
      output.handle.truncate(Math.max(0, sign === '-' ? before - amount : before + amount))
    } finally {
      output.release()
    }
  })
}

const nameLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export const mktemp: Program = (invocation) => {
  // `-p` takes the next word, `--tmpdir` only what stands behind its own `=`.
  const args = invocation.args.map((arg) => (arg === '--tmpdir' ? '-t' : arg))
  const { flags, values, operands } = withArguments(invocation, args).options('dqup:tS:', {
    directory: 'd',
    quiet: 'q',
    'dry-run': 'u',
    tmpdir: 'p',
    suffix: 'S',
  })
  const [template = 'tmp.XXXXXXXXXX', extra] = operands
  if (extra !== undefined) throw new ScriptFault('too many templates', 1)
  const tmp = invocation.environment.get('TMPDIR')
  const base = typeof tmp === 'string' && tmp !== '' ? tmp : '/tmp'
  const directory =
    values.get('p')?.at(-1) ?? (operands.length === 0 || flags.has('t') ? base : undefined)
  const lastMark = template.lastIndexOf('X') + 1
  const suffix = values.get('S')?.at(-1) ?? template.slice(lastMark)
  const body = values.has('S') ? template : template.slice(0, lastMark)
  let marks = 0
  while (body[body.length - 1 - marks] === 'X') marks++
  if (suffix.includes('/')) {
    throw new ScriptFault(`invalid suffix '${suffix}', contains directory separator`, 1)
  }
  if (marks < 3) throw new ScriptFault(`too few X's in template '${template}'`, 1)
  const { random } = invocation.process.kernel.surroundings
  const { files } = invocation
  for (let attempt = 0; attempt < 100; attempt++) {
    let name = body.slice(0, -marks)
    for (let count = 0; count < marks; count++)
      name += nameLetters.charAt(random.below(nameLetters.length))
    const path =
      (directory === undefined ? '' : `${withoutTrailingSlashes(directory)}/`) + name + suffix
    if (files.statIfThere(path, false) !== undefined) continue
    try {
      if (flags.has('u')) return invocation.answer(`${path}\n`)
      if (flags.has('d')) files.mkdir(path, 0o700)
      else
        files
          .open(path, { write: true, create: true, exclusive: true, mode: 0o600 })
          .retain()
          .release()
    } catch (refusal) {
      const kind = flags.has('d') ? 'directory' : 'file'
      const shown = (directory === undefined ? '' : `${directory}/`) + template
      throw new ScriptFault(
        `failed to create ${kind} via template '${shown}': ${complaint(refusal)}`,
        1,
      )
    }
    return invocation.answer(`${path}\n`)
  }
  throw new ScriptFault(`failed to create file via template '${template}': File exists`, 1)
}
