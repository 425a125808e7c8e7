import { ConclaveError } from '@conclave/kernel'

/** The errors a file system may answer with, by their POSIX names. */
export const posixErrors = {
  EACCES: 'Permission denied',
  EBADF: 'Bad file descriptor',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  EFBIG: 'File too large',
  EILSEQ: 'Invalid or incomplete multibyte or wide character',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EMFILE: 'Too many open files',
  ENAMETOOLONG: 'File name too long',
  ENODEV: 'No such device',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  ENOTEMPTY: 'Directory not empty',
  ENOTSUP: 'Operation not supported',
  EPERM: 'Operation not permitted',
  EPIPE: 'Broken pipe',
  EROFS: 'Read-only file system',
  EXDEV: 'Invalid cross-device link',
} as const

export type PosixErrorCode = keyof typeof posixErrors

/** A file system refused, for the reason POSIX gives that refusal. Names the path, never its bytes. */
export class FileSystemError extends ConclaveError {
  readonly code = 'shell.file-system'
  readonly posix: PosixErrorCode

  constructor(posix: PosixErrorCode, path?: string) {
    super(path === undefined ? posixErrors[posix] : `${path}: ${posixErrors[posix]}`)
    this.posix = posix
  }
}

/** In whose name a file system is asked. The adapter checks permission bits; uid 0 passes all of them. */
export interface Credentials {
  readonly uid: number
  readonly gid: number
}

export type FileKind = 'file' | 'directory' | 'symlink'

/** What `stat` knows. `mode` holds permission bits only, such as `0o400`. */
export interface FileStat {
  readonly kind: FileKind
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  /** Equal for two names of one file, different for two files. */
  readonly inode: number
  readonly links: number
  /** Differs between mounts, so that `mv` and `rm -x` can tell. 0 where nobody cares. */
  readonly device: number
}

/** How a file is opened. Without `write` it is for reading; `write` alone also allows reading. */
export interface OpenOptions {
  readonly write?: boolean
  /** Creates the file with `mode` when it is missing. */
  readonly create?: boolean
  /** With `create`: fails with EEXIST when something is there already. */
  readonly exclusive?: boolean
  readonly truncate?: boolean
  /** Permission bits of a new file, with the umask already taken off. */
  readonly mode?: number
}

/** An open file. It stays usable after its name is gone, as in POSIX. */
export interface FileHandle {
  /** Up to `length` bytes from `position`; none at the end. The caller owns them. */
  read(position: number, length: number): Uint8Array
  /** Writes all of `bytes` at `position`. @throws FileSystemError such as ENOSPC */
  write(position: number, bytes: Uint8Array): void
  truncate(sizeBytes: number): void
  stat(): FileStat
  close(): void
}

/**
 * The port: what simulated processes need of a file system. Synchronous, so that a system call is one
 * step of a process. Paths are absolute ordinary text (not byte strings), may hold `.`, `..` and
 * symbolic links, and are resolved by the adapter in the name of `who`; contents are bytes. Every
 * refusal is a {@link FileSystemError}. `/dev` and `/proc` never arrive here, the machine answers for
 * them.
 */
export interface FileSystem {
  open(path: string, options: OpenOptions, who: Credentials): FileHandle
  /** Follows symbolic links. */
  stat(path: string, who: Credentials): FileStat
  /** Does not follow the last symbolic link. */
  lstat(path: string, who: Credentials): FileStat
  /** Names in a directory, without `.` and `..`, in any order. */
  readdir(path: string, who: Credentials): readonly string[]
  mkdir(path: string, mode: number, who: Credentials): void
  rmdir(path: string, who: Credentials): void
  unlink(path: string, who: Credentials): void
  /** Replaces `to` as POSIX says; never follows a symbolic link at either end. */
  rename(from: string, to: string, who: Credentials): void
  symlink(target: string, path: string, who: Credentials): void
  /** A second name for a file; EPERM or ENOTSUP where the file system has none. */
  link(from: string, to: string, who: Credentials): void
  readlink(path: string, who: Credentials): string
  chmod(path: string, mode: number, who: Credentials): void
  chown(path: string, uid: number, gid: number, who: Credentials): void
  utimes(path: string, accessedAtMs: number, modifiedAtMs: number, who: Credentials): void
}
