import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '@conclave/kernel'
import { FileSystemError, type FileSystem } from '@conclave/shell'
import { ManualClock } from '@conclave/testkit'
import { array, assert, constantFrom, nat, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import { MemoryFileSystem } from './memory-file-system.ts'

/** Whoever runs the tests: the kernel asks for the same person. */
const who = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

const paths = ['a', 'b', 'c', 'a/b', 'a/c', 'a/b/c', 'b/a', 'b/../c', 'c/a', 'a/', './b', 'no/x']
// None leads to the directory itself or above it: the kernel's side must stay within its own.
const targets = [...paths.filter((path) => !path.endsWith('/')), 'a/b/c/a']

const operation = record({
  what: constantFrom(
    'mkdir',
    'write',
    'create',
    'truncate',
    'read',
    'unlink',
    'rmdir',
    'rename',
    'symlink',
    'link',
    'chmod',
    'stat',
    'lstat',
    'readdir',
    'readlink',
  ),
  path: constantFrom(...paths),
  other: constantFrom(...paths),
  target: constantFrom(...targets),
  mode: constantFrom(0o755, 0o700, 0o644, 0o600),
  sizeBytes: nat(200),
})
type Operation = {
  readonly what: string
  readonly path: string
  readonly other: string
  readonly target: string
  readonly mode: number
  readonly sizeBytes: number
}

function ours(fs: FileSystem, one: Operation): unknown {
  const { what, target, mode, sizeBytes } = one
  const [path, other] = [`/t/${one.path}`, `/t/${one.other}`]
  switch (what) {
    case 'mkdir':
      return fs.mkdir(path, mode, who)
    case 'write':
    case 'create': {
      const exclusive = what === 'create'
      const handle = fs.open(path, { write: true, create: true, exclusive, mode }, who)
      handle.write(handle.stat().sizeBytes, utf8('x'.repeat(sizeBytes)))
      return handle.close()
    }
    case 'truncate': {
      const handle = fs.open(path, { write: true }, who)
      handle.truncate(sizeBytes)
      return handle.close()
    }
    case 'read': {
      const handle = fs.open(path, {}, who)
      const bytes = handle.read(0, 100_000)
      handle.close()
      return Buffer.from(bytes).toString()
    }
    case 'unlink':
      return fs.unlink(path, who)
    case 'rmdir':
      return fs.rmdir(path, who)
    case 'rename':
      return fs.rename(path, other, who)
    case 'symlink':
      return fs.symlink(target, path, who)
    case 'link':
      return fs.link(path, other, who)
    case 'chmod':
      return fs.chmod(path, mode, who)
    case 'readdir':
      return fs.readdir(path, who).toSorted()
    case 'readlink':
      return fs.readlink(path, who)
    default: {
      const found = what === 'stat' ? fs.stat(path, who) : fs.lstat(path, who)
      const { kind, mode: bits, uid, gid, sizeBytes: size, links } = found
      return kind === 'directory'
        ? { kind, bits, uid, gid }
        : { kind, bits: kind === 'symlink' ? 0o777 : bits, uid, gid, size, links }
    }
  }
}

function theirs(root: string, one: Operation): unknown {
  const { what, target, mode, sizeBytes } = one
  const [path, other] = [`${root}/${one.path}`, `${root}/${one.other}`]
  switch (what) {
    case 'mkdir':
      mkdirSync(path)
      return chmodSync(path, mode)
    case 'write':
    case 'create': {
      const isNew = !isThere(path)
      const { O_WRONLY, O_CREAT, O_APPEND, O_EXCL } = constants
      const flags = O_WRONLY | O_CREAT | O_APPEND | (what === 'create' ? O_EXCL : 0)
      const descriptor = openSync(path, flags, mode)
      if (isNew) fchmodSync(descriptor, mode)
      writeSync(descriptor, 'x'.repeat(sizeBytes))
      return closeSync(descriptor)
    }
    case 'truncate':
      return truncateSync(path, sizeBytes)
    case 'read':
      return readFileSync(path, 'utf8')
    case 'unlink':
      return unlinkSync(path)
    case 'rmdir':
      return rmdirSync(path)
    case 'rename':
      return renameSync(path, other)
    case 'symlink':
      return symlinkSync(target, path)
    case 'link':
      return linkSync(path, other)
    case 'chmod':
      return chmodSync(path, mode)
    case 'readdir':
      return readdirSync(path).toSorted()
    case 'readlink':
      return readlinkSync(path)
    default: {
      const found = what === 'stat' ? statSync(path) : lstatSync(path)
      const { uid, gid, size, nlink: links } = found
      const bits = found.mode & 0o7777
      if (found.isDirectory()) return { kind: 'directory', bits, uid, gid }
      const kind = found.isSymbolicLink() ? 'symlink' : 'file'
      return { kind, bits, uid, gid, size, links }
    }
  }
}

const isThere = (path: string): boolean => {
  try {
    return statSync(path) !== undefined
  } catch {
    return false
  }
}

function outcomeOf(act: () => unknown): unknown {
  try {
    return act()
  } catch (refusal) {
    if (refusal instanceof FileSystemError) return refusal.posix
    return (refusal as { code?: unknown }).code
  }
}

test.runIf(process.platform === 'linux')(
  'MR7: over the same operations, this file system and the kernel’s answer alike',
  () => {
    const base = mkdtempSync(join(tmpdir(), 'conclave-fs-'))
    let runs = 0
    try {
      assert(
        property(array(operation, { maxLength: 40 }), (operations) => {
          const root = join(base, `${++runs}`)
          mkdirSync(root)
          const limits = { sizeBytesMax: 1e6, inodesMax: 1e4, blockSizeBytes: 1 }
          const fs = new MemoryFileSystem(new ManualClock(), limits)
          fs.mkdir('/t', 0o755, { uid: 0, gid: 0 })
          fs.chown('/t', who.uid, who.gid, { uid: 0, gid: 0 })
          for (const one of operations) {
            expect([one, outcomeOf(() => ours(fs, one))]).toEqual([
              one,
              outcomeOf(() => theirs(root, one)),
            ])
          }
        }),
        { numRuns: 200 },
      )
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  },
)
