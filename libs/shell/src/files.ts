import { bytesOf, fromText, type ByteString } from './byte-string.ts'
import {
  DeviceDescription,
  FileDescription,
  NullDescription,
  TextDescription,
  type Description,
} from './description.ts'
import { FileSystemError, type FileStat, type FileKind, type OpenOptions } from './file-system.ts'
import { environmentValue, type Environment, type Process } from './kernel.ts'
import { absolutePath, baseName, normalPath, parentPath, textPath } from './paths.ts'

/**
 * The files of a process: those of the file system port, and those the machine makes up, which are
 * `/dev`, `/proc`, and the programs in `/bin` that exist without files.
 */
export interface VirtualPrograms {
  has(name: ByteString): boolean
  readonly names: () => Iterable<ByteString>
}

/** Directories in which every program of the shell is found unless a real file is there. */
export const programDirectories: ReadonlySet<ByteString> = new Set([
  '/bin',
  '/usr/bin',
  '/sbin',
  '/usr/sbin',
])

export interface OpenFlags extends OpenOptions {
  readonly append?: boolean
  readonly readable?: boolean
}

export class Files {
  readonly #process: Process
  readonly #programs: VirtualPrograms

  constructor(process: Process, programs: VirtualPrograms) {
    this.#process = process
    this.#programs = programs
  }

  absolute(path: ByteString): ByteString {
    if (path === '') throw new FileSystemError('ENOENT')
    return absolutePath(this.#process.cwd, path)
  }

  open(path: ByteString, flags: OpenFlags = {}): Description {
    const absolute = this.absolute(path)
    const virtual = this.#openVirtual(normalPath(absolute), flags)
    if (virtual !== undefined) return virtual
    const { fs } = this.#surroundings
    const mode = (flags.mode ?? 0o666) & ~this.#process.umask
    try {
      const handle = fs.open(textPath(absolute), { ...flags, mode }, this.#process.credentials)
      const writable = flags.write === true
      return new FileDescription(absolute, handle, {
        readable: flags.readable ?? !writable,
        writable,
        append: flags.append === true,
      })
    } catch (refusal) {
      const target = isMissing(refusal) ? this.#virtualTarget(absolute) : undefined
      const opened = target === undefined ? undefined : this.#openVirtual(target, flags)
      if (opened === undefined) throw refusal
      return opened
    }
  }

  /** All bytes of a file. @throws FileSystemError EFBIG above `sizeBytesMax` */
  read(path: ByteString, sizeBytesMax: number): Uint8Array {
    const description = this.open(path).retain()
    try {
      const bytes = description.read(sizeBytesMax + 1)
      if (!(bytes instanceof Uint8Array)) throw new FileSystemError('EINVAL', path)
      if (bytes.length > sizeBytesMax) throw new FileSystemError('EFBIG', path)
      return bytes
    } finally {
      description.release()
    }
  }

  /** The first bytes of a file; nothing for a program that exists without a file. */
  readHead(path: ByteString, length: number): Uint8Array | undefined {
    const normal = normalPath(this.absolute(path))
    let description: Description
    try {
      description = this.open(path).retain()
    } catch (refusal) {
      if (isMissing(refusal) && this.isVirtualProgram(normal)) return undefined
      throw refusal
    }
    const bytes = description.read(length)
    description.release()
    return bytes instanceof Uint8Array ? bytes : new Uint8Array(0)
  }

  stat(path: ByteString, isFollowing = true): FileStat {
    const absolute = this.absolute(path)
    const normal = normalPath(absolute)
    const virtual = this.#statVirtual(normal, isFollowing)
    if (virtual !== undefined) return virtual
    const { fs } = this.#surroundings
    const { credentials } = this.#process
    try {
      return isFollowing
        ? fs.stat(textPath(absolute), credentials)
        : fs.lstat(textPath(absolute), credentials)
    } catch (refusal) {
      if (!isMissing(refusal)) throw refusal
      if (this.isVirtualProgram(normal)) return made('file', 0o755, 0)
      if (isMadeUp(normal)) return made('directory', 0o755, 0)
      const target = isFollowing ? this.#virtualTarget(absolute) : undefined
      const found = target === undefined ? undefined : this.#statVirtual(target, true)
      if (found === undefined) throw refusal
      return found
    }
  }

  /** As {@link stat}, with nothing for whatever cannot be looked at. */
  statIfThere(path: ByteString, isFollowing = true): FileStat | undefined {
    try {
      return this.stat(path, isFollowing)
    } catch (refusal) {
      if (refusal instanceof FileSystemError) return undefined
      throw refusal
    }
  }

  list(path: ByteString): ByteString[] {
    const absolute = this.absolute(path)
    const normal = normalPath(absolute)
    const virtual = this.#listVirtual(normal)
    if (virtual !== undefined) return virtual
    const names = new Set<ByteString>()
    try {
      const { fs } = this.#surroundings
      for (const name of fs.readdir(textPath(absolute), this.#process.credentials)) {
        names.add(fromText(name))
      }
    } catch (refusal) {
      if (!isMissing(refusal) || !isMadeUp(normal)) throw refusal
    }
    if (normal === '/') for (const name of ['bin', 'dev', 'proc', 'usr']) names.add(name)
    if (normal === '/usr') for (const name of ['bin', 'sbin']) names.add(name)
    if (programDirectories.has(normal)) for (const name of this.#programs.names()) names.add(name)
    return [...names].sort()
  }

  readlink(path: ByteString): ByteString {
    const absolute = this.absolute(path)
    const virtual = this.#linkVirtual(normalPath(absolute))
    if (virtual !== undefined) return virtual
    const { fs } = this.#surroundings
    return fromText(fs.readlink(textPath(absolute), this.#process.credentials))
  }

  /** The path with every symbolic link resolved. The last name may be missing. */
  realPath(path: ByteString): ByteString {
    const names = this.absolute(path).split('/')
    let resolved = ''
    let hops = 0
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      if (name === '' || name === '.') continue
      if (name === '..') {
        resolved = resolved.slice(0, Math.max(0, resolved.lastIndexOf('/')))
        continue
      }
      const next = `${resolved}/${name}`
      const stat = this.statIfThere(next, false)
      if (stat === undefined && names.some((rest) => rest !== '')) {
        throw new FileSystemError('ENOENT', path)
      }
      if (stat?.kind !== 'symlink') {
        resolved = next
        continue
      }
      if (++hops > 40) throw new FileSystemError('ELOOP', path)
      const target = this.readlink(next)
      names.unshift(...target.split('/'))
      if (target.startsWith('/')) resolved = ''
    }
    return resolved === '' ? '/' : resolved
  }

  mkdir(path: ByteString, mode = 0o777): void {
    const at = textPath(this.absolute(path))
    this.#surroundings.fs.mkdir(at, mode & ~this.#process.umask, this.#process.credentials)
  }

  rmdir(path: ByteString): void {
    this.#surroundings.fs.rmdir(textPath(this.absolute(path)), this.#process.credentials)
  }

  unlink(path: ByteString): void {
    this.#surroundings.fs.unlink(textPath(this.absolute(path)), this.#process.credentials)
  }

  rename(from: ByteString, to: ByteString): void {
    const { fs } = this.#surroundings
    const { credentials } = this.#process
    fs.rename(textPath(this.absolute(from)), textPath(this.absolute(to)), credentials)
  }

  symlink(target: ByteString, path: ByteString): void {
    const { fs } = this.#surroundings
    fs.symlink(textPath(target), textPath(this.absolute(path)), this.#process.credentials)
  }

  link(from: ByteString, to: ByteString): void {
    const { fs } = this.#surroundings
    const { credentials } = this.#process
    fs.link(textPath(this.absolute(from)), textPath(this.absolute(to)), credentials)
  }

  chmod(path: ByteString, mode: number): void {
    this.#surroundings.fs.chmod(textPath(this.absolute(path)), mode, this.#process.credentials)
  }

  chown(path: ByteString, uid: number, gid: number): void {
    const { fs } = this.#surroundings
    fs.chown(textPath(this.absolute(path)), uid, gid, this.#process.credentials)
  }

  utimes(path: ByteString, accessedAtMs: number, modifiedAtMs: number): void {
    const at = textPath(this.absolute(path))
    this.#surroundings.fs.utimes(at, accessedAtMs, modifiedAtMs, this.#process.credentials)
  }

  /** Whether the process may read (4), write (2) or execute (1) what is there. */
  mayAccess(stat: FileStat, wanted: number): boolean {
    const { uid, gid } = this.#process.credentials
    if (uid === 0) return wanted !== 1 || stat.kind === 'directory' || (stat.mode & 0o111) !== 0
    const shift = uid === stat.uid ? 6 : gid === stat.gid ? 3 : 0
    return ((stat.mode >> shift) & wanted) === wanted
  }

  isVirtualProgram(normal: ByteString): boolean {
    return programDirectories.has(parentPath(normal)) && this.#programs.has(baseName(normal))
  }

  get #surroundings() {
    return this.#process.kernel.surroundings
  }

  /** Where symbolic links of the file system lead, if that is into `/dev` or `/proc`. */
  #virtualTarget(absolute: ByteString): ByteString | undefined {
    try {
      const real = this.realPath(absolute)
      return /^\/(dev|proc)\//.test(real) ? real : undefined
    } catch (refusal) {
      if (refusal instanceof FileSystemError) return undefined
      throw refusal
    }
  }

  #openVirtual(path: ByteString, flags: OpenFlags): Description | undefined {
    if (path.startsWith('/dev/')) {
      const name = path.slice(5)
      const number = descriptorNumber(name) ?? undefined
      if (number !== undefined) return this.#descriptor(number)
      const device = this.#device(name)
      if (device !== undefined) return device
      return undefined
    }
    if (!path.startsWith('/proc/')) return undefined
    const found = this.#proc(path)
    if (found === undefined) throw new FileSystemError('ENOENT', path)
    if (found.kind === 'directory') throw new FileSystemError('EISDIR', path)
    if (found.descriptor !== undefined) return this.#descriptor(found.descriptor)
    if (flags.write === true || found.bytes === undefined) throw new FileSystemError('EACCES', path)
    return new TextDescription(path, found.bytes())
  }

  isTerminal(number: number): boolean {
    return this.#process.descriptions[number]?.terminal !== undefined
  }

  #descriptor(number: number): Description {
    const description = this.#process.descriptions[number]
    if (description === undefined) throw new FileSystemError('ENOENT', `/dev/fd/${number}`)
    return description
  }

  get #terminal(): Description | undefined {
    return this.#process.descriptions.find((open) => open?.terminal !== undefined)
  }

  #device(name: ByteString): Description | undefined {
    const { random } = this.#surroundings
    if (name === 'null') return new NullDescription()
    if (name === 'tty') return this.#terminal ?? new NullDescription()
    if (name === 'zero') return new DeviceDescription('/dev/zero', zeroes)
    if (name === 'full') return new DeviceDescription('/dev/full', zeroes, true)
    if (name !== 'urandom' && name !== 'random') return undefined
    return new DeviceDescription(`/dev/${name}`, (length) => random.bytes(length))
  }

  #statVirtual(path: ByteString, isFollowing: boolean): FileStat | undefined {
    if (path === '/dev' || path === '/dev/fd' || path === '/proc')
      return made('directory', 0o755, 0)
    if (path.startsWith('/dev/')) {
      const name = path.slice(5)
      const number = descriptorNumber(name)
      if (number !== undefined && this.#process.descriptions[number] !== undefined) {
        if (!isFollowing) return made('symlink', 0o777, 0)
        return this.#process.descriptions[number]?.stat() ?? made('file', 0o600, 0)
      }
      return deviceNames.includes(name) ? made('file', 0o666, 0) : undefined
    }
    if (!path.startsWith('/proc/')) return undefined
    const found = this.#proc(path)
    if (found === undefined) throw new FileSystemError('ENOENT', path)
    if (found.link !== undefined && !isFollowing) return made('symlink', 0o777, found.uid)
    return made(found.kind, found.mode, found.uid)
  }

  #listVirtual(path: ByteString): ByteString[] | undefined {
    if (path === '/dev') return ['fd', ...deviceNames, 'stderr', 'stdin', 'stdout'].sort()
    if (path === '/dev/fd') return this.#list(`/proc/${this.#process.pid}/fd`)
    if (path === '/proc') {
      const pids = [...this.#process.kernel.processes.keys()].map(String)
      return [...pids, ...procFiles.keys(), 'self'].sort()
    }
    return path.startsWith('/proc/') ? this.#list(path) : undefined
  }

  #list(path: ByteString): ByteString[] {
    const found = this.#proc(path)
    if (found === undefined) throw new FileSystemError('ENOENT', path)
    if (found.names === undefined) throw new FileSystemError('ENOTDIR', path)
    return found.names()
  }

  #linkVirtual(path: ByteString): ByteString | undefined {
    if (path === '/dev/fd') return '/proc/self/fd'
    const device = path.startsWith('/dev/') ? descriptorNumber(path.slice(5)) : undefined
    if (device !== undefined) return `/proc/self/fd/${device}`
    if (!path.startsWith('/proc/')) return undefined
    const found = this.#proc(path)
    if (found === undefined) throw new FileSystemError('ENOENT', path)
    if (found.link === undefined) throw new FileSystemError('EINVAL', path)
    return found.link
  }

  #proc(path: ByteString): ProcEntry | undefined {
    const [, , first = '', name, ...rest] = path.split('/')
    const file = procFiles.get(first)
    if (file !== undefined && name === undefined) {
      return { kind: 'file', mode: 0o444, uid: 0, bytes: () => bytesOf(file(this.#process)) }
    }
    const { processes } = this.#process.kernel
    const other = first === 'self' ? this.#process : processes.get(Number(first))
    if (other === undefined) return undefined
    const { uid } = other.credentials
    if (name === undefined) {
      if (first === 'self') {
        const link = String(other.pid)
        return { kind: 'directory', mode: 0o555, uid, link, names: () => processNames }
      }
      return { kind: 'directory', mode: 0o555, uid, names: () => processNames }
    }
    return this.#procOf(other, name, rest)
  }

  #procOf(other: Process, name: ByteString, rest: readonly ByteString[]): ProcEntry | undefined {
    const { uid } = other.credentials
    const isPrivate = this.#process.credentials.uid !== 0 && this.#process.credentials.uid !== uid
    if (name === 'fd') {
      if (isPrivate) throw new FileSystemError('EACCES', `/proc/${other.pid}/fd`)
      return descriptorEntry(other, rest)
    }
    if (rest.length > 0) return undefined
    switch (name) {
      case 'environ':
        if (isPrivate) throw new FileSystemError('EACCES', `/proc/${other.pid}/environ`)
        return {
          kind: 'file',
          mode: 0o400,
          uid,
          bytes: () => environmentBytes(other.environment),
        }
      case 'cmdline':
        return {
          kind: 'file',
          mode: 0o444,
          uid,
          bytes: () => bytesOf(other.argv.map((argument) => `${argument}\0`).join('')),
        }
      case 'comm':
        return {
          kind: 'file',
          mode: 0o444,
          uid,
          bytes: () => bytesOf(`${baseName(other.argv[0] ?? '').slice(0, 15)}\n`),
        }
      case 'mounts': {
        const bytes = (): Uint8Array => bytesOf(mountLines(other))
        return { kind: 'file', mode: 0o444, uid, bytes }
      }
      case 'status':
        return { kind: 'file', mode: 0o444, uid, bytes: () => bytesOf(statusLines(other)) }
      case 'cwd':
        return { kind: 'directory', mode: 0o555, uid, link: other.cwd, names: () => [] }
      case 'exe': {
        const link = `/bin/${baseName(other.argv[0] ?? '')}`
        return { kind: 'file', mode: 0o555, uid, link }
      }
      default:
        return undefined
    }
  }
}

/** What one path below `/proc` is. */
interface ProcEntry {
  readonly kind: FileKind
  readonly mode: number
  readonly uid: number
  readonly link?: ByteString
  readonly bytes?: () => Uint8Array
  readonly names?: () => ByteString[]
  /** A descriptor of the process itself that opening this gives. */
  readonly descriptor?: number
}

const processNames = ['cmdline', 'comm', 'cwd', 'environ', 'exe', 'fd', 'mounts', 'status']

const deviceNames = ['full', 'null', 'random', 'tty', 'urandom', 'zero']

const standardNames: ReadonlyMap<ByteString, number> = new Map([
  ['stdin', 0],
  ['stdout', 1],
  ['stderr', 2],
])

function descriptorNumber(name: ByteString): number | undefined {
  const standard = standardNames.get(name)
  if (standard !== undefined) return standard
  return /^fd\/\d{1,4}$/.test(name) ? Number(name.slice(3)) : undefined
}

function descriptorEntry(other: Process, rest: readonly ByteString[]): ProcEntry | undefined {
  const { uid } = other.credentials
  const [number, ...more] = rest
  if (number === undefined) {
    const names = (): ByteString[] =>
      other.descriptions.flatMap((open, index) => (open === undefined ? [] : [String(index)]))
    return { kind: 'directory', mode: 0o500, uid, names }
  }
  const description = /^\d{1,4}$/.test(number) ? other.descriptions[Number(number)] : undefined
  if (description === undefined || more.length > 0) return undefined
  return {
    kind: 'file',
    mode: 0o700,
    uid,
    link: description.label,
    descriptor: Number(number),
  }
}

/** Directories that are there even when the file system has none of that name. */
const isMadeUp = (normal: ByteString): boolean =>
  normal === '/usr' || programDirectories.has(normal)

const zeroes = (length: number): Uint8Array => new Uint8Array(length)

const made = (kind: FileKind, mode: number, uid: number): FileStat => ({
  kind,
  mode,
  uid,
  gid: uid,
  sizeBytes: 0,
  modifiedAtMs: 0,
  inode: 0,
  links: 1,
  device: 1,
})

const isMissing = (refusal: unknown): boolean =>
  refusal instanceof FileSystemError && refusal.posix === 'ENOENT'

function environmentBytes(environment: Environment): Uint8Array {
  let text = ''
  for (const [name, value] of environment) text += `${name}=${environmentValue(value)}\0`
  return bytesOf(text)
}

/** The lines of `/proc/mounts`. */
function mountLines(process: Process): ByteString {
  let text = ''
  for (const { source, at, type, options } of process.kernel.surroundings.mounts()) {
    const columns = [source, at, type].map((column) => fromText(column).replaceAll(' ', '\\040'))
    text += `${columns.join(' ')} ${fromText(options)} 0 0\n`
  }
  return text
}

function statusLines(process: Process): ByteString {
  const { uid, gid } = process.credentials
  const parent = process.parent?.pid ?? (process.pid === 1 ? 0 : 1)
  return [
    `Name:\t${baseName(process.argv[0] ?? '')}`,
    `State:\t${process.isBlocked ? 'S (sleeping)' : 'R (running)'}`,
    `Pid:\t${process.pid}`,
    `PPid:\t${parent}`,
    `Uid:\t${uid}\t${uid}\t${uid}\t${uid}`,
    `Gid:\t${gid}\t${gid}\t${gid}\t${gid}`,
    `Threads:\t1`,
    '',
  ].join('\n')
}

/** Files directly below `/proc`. */
const procFiles: ReadonlyMap<ByteString, (process: Process) => ByteString> = new Map([
  ['mounts', mountLines],
  ['uptime', uptimeLine],
  ['version', () => 'Linux version 6.1.0-conclave (simulated)\n'],
  ['cpuinfo', () => 'processor\t: 0\nmodel name\t: simulated\n\n'],
])

function uptimeLine(process: Process): ByteString {
  const first = process.kernel.processes.get(1) ?? process
  const seconds = (process.kernel.surroundings.clock.nowMs() - first.startedAtMs) / 1000
  return `${seconds.toFixed(2)} ${seconds.toFixed(2)}\n`
}
