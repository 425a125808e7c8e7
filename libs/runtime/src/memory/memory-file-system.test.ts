import { utf8 } from '@conclave/kernel'
import { FileSystemError, type Credentials } from '@conclave/shell'
import { ManualClock } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { MemoryFileSystem } from './memory-file-system.ts'
import { SecretTmpfs } from './tmpfs.ts'

const root: Credentials = { uid: 0, gid: 0 }
const owner: Credentials = { uid: 1000, gid: 1000 }
const colleague: Credentials = { uid: 1001, gid: 1000 }
const stranger: Credentials = { uid: 1002, gid: 1002 }

function fileSystem(limits: { sizeBytesMax?: number; inodesMax?: number } = {}): MemoryFileSystem {
  const fs = new MemoryFileSystem(new ManualClock(), {
    sizeBytesMax: 100_000,
    inodesMax: 1000,
    blockSizeBytes: 1,
    ...limits,
  })
  fs.mkdir('/home', 0o755, root)
  fs.chown('/home', owner.uid, owner.gid, root)
  return fs
}

function write(fs: MemoryFileSystem, path: string, text: string, mode = 0o644, who = owner): void {
  const handle = fs.open(path, { write: true, create: true, truncate: true, mode }, who)
  handle.write(0, utf8(text))
  handle.close()
}

function read(fs: MemoryFileSystem, path: string, who = owner): string {
  const handle = fs.open(path, {}, who)
  const bytes = handle.read(0, 100_000)
  handle.close()
  return Buffer.from(bytes).toString()
}

function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof FileSystemError) return error.posix
    throw error
  }
  return 'none'
}

function bound(isReadOnly: boolean) {
  const fs = fileSystem()
  const tmpfs = new SecretTmpfs(2, 4096, 10)
  tmpfs.write('0', utf8('s3cr3t'), isReadOnly ? 0o400 : 0o600, owner, 0)
  const inode = tmpfs.file('0')
  if (inode === undefined) throw new Error('it was written')
  fs.bind('/home/keys/db', inode, { isReadOnly }, owner)
  return { fs, tmpfs }
}

describe('permissions', () => {
  test('MR8: bits are of the owner, the group and the others; root passes', () => {
    const fs = fileSystem()
    write(fs, '/home/file', 'text', 0o640)

    expect(read(fs, '/home/file', colleague)).toBe('text')
    expect(refusal(() => read(fs, '/home/file', stranger))).toBe('EACCES')
    expect(refusal(() => write(fs, '/home/file', 'x', 0o640, colleague))).toBe('EACCES')
    fs.chmod('/home/file', 0o000, owner)
    expect(refusal(() => read(fs, '/home/file'))).toBe('EACCES')
    expect(read(fs, '/home/file', root)).toBe('text')
  })

  test('MR8: what they say does not depend on who runs this process', () => {
    const fs = fileSystem()
    write(fs, '/home/secret', 's3cr3t', 0o400)

    expect(read(fs, '/home/secret')).toBe('s3cr3t')
    expect(refusal(() => write(fs, '/home/secret', 'x'))).toBe('EACCES')
  })

  test('MR8: a directory is entered, listed and changed by those who may', () => {
    const fs = fileSystem()
    fs.mkdir('/home/inner', 0o711, owner)
    write(fs, '/home/inner/file', 'text')

    expect(read(fs, '/home/inner/file', stranger)).toBe('text')
    expect(refusal(() => fs.readdir('/home/inner', stranger))).toBe('EACCES')
    expect(refusal(() => fs.unlink('/home/inner/file', stranger))).toBe('EACCES')
    fs.chmod('/home/inner', 0o700, owner)
    expect(refusal(() => fs.stat('/home/inner/file', stranger))).toBe('EACCES')
  })

  test('MR8: in a sticky directory everybody removes only what is theirs', () => {
    const fs = fileSystem()
    fs.mkdir('/tmp', 0o777, root)
    fs.chmod('/tmp', 0o1777, root)
    write(fs, '/tmp/file', 'text')

    expect(refusal(() => fs.unlink('/tmp/file', stranger))).toBe('EPERM')
    expect(refusal(() => fs.rename('/tmp/file', '/tmp/mine', stranger))).toBe('EPERM')
    expect(refusal(() => fs.unlink('/tmp/file', owner))).toBe('none')
  })

  test('MR8: only the owner changes a mode, and only root an owner', () => {
    const fs = fileSystem()
    write(fs, '/home/file', 'text')

    expect(refusal(() => fs.chmod('/home/file', 0o777, stranger))).toBe('EPERM')
    expect(refusal(() => fs.chown('/home/file', 1002, 1002, owner))).toBe('EPERM')
    fs.chown('/home/file', 1002, 1002, root)
    expect(fs.stat('/home/file', root)).toMatchObject({ uid: 1002, gid: 1002 })
  })
})

describe('limits', () => {
  test('MR3: a write beyond the quota writes nothing, and freed room can be used again', () => {
    const fs = fileSystem({ sizeBytesMax: 10 })
    write(fs, '/home/a', '12345678')

    expect(refusal(() => write(fs, '/home/b', '123'))).toBe('ENOSPC')
    expect(read(fs, '/home/b')).toBe('')
    fs.unlink('/home/a', owner)
    write(fs, '/home/b', '1234567890')
    expect(fs.usedBytes).toBe(10)
  })

  test('MR3: there are so many inodes and no more', () => {
    const fs = fileSystem({ inodesMax: 4 })
    write(fs, '/home/a', '')
    write(fs, '/home/b', '')

    expect(refusal(() => write(fs, '/home/c', ''))).toBe('ENOSPC')
    fs.unlink('/home/a', owner)
    expect(refusal(() => fs.mkdir('/home/c', 0o755, owner))).toBe('none')
  })

  test('MR3: a file that is open lives on without its name, and is gone when it is closed', () => {
    const fs = fileSystem()
    write(fs, '/home/file', 'text')
    const handle = fs.open('/home/file', {}, owner)
    fs.unlink('/home/file', owner)

    expect(Buffer.from(handle.read(0, 10)).toString()).toBe('text')
    expect(fs.usedBytes).toBe(4)
    handle.close()
    expect(fs.usedBytes).toBe(0)
    expect(refusal(() => handle.read(0, 10))).toBe('EBADF')
  })

  test('MR3: what containers share counts for nobody until it is written', () => {
    const shared = utf8('shared by all')
    const fs = fileSystem()
    fs.share('/home/image', shared, 0o666)
    expect(fs.usedBytes).toBe(0)

    const handle = fs.open('/home/image', { write: true }, owner)
    handle.write(0, utf8('CHANGED'))
    handle.close()

    expect(read(fs, '/home/image')).toBe('CHANGEDby all')
    expect(Buffer.from(shared).toString()).toBe('shared by all')
    expect(fs.usedBytes).toBe(13)
  })

  test('a directory has a link of its own, one above it, and one of each directory in it', () => {
    const fs = fileSystem()
    const linksOf = (path: string): number => fs.stat(path, root).links
    expect(linksOf('/home')).toBe(2)
    fs.mkdir('/home/one', 0o755, owner)
    fs.mkdir('/home/two', 0o755, owner)
    write(fs, '/home/file', 'x')
    expect(linksOf('/home')).toBe(4)
    fs.rmdir('/home/one', owner)
    expect(linksOf('/home')).toBe(3)
    expect(linksOf('/home/file')).toBe(1)
  })

  test('MR3: a path and a name have their lengths', () => {
    const fs = fileSystem()

    expect(refusal(() => write(fs, `/home/${'x'.repeat(256)}`, ''))).toBe('ENAMETOOLONG')
    expect(refusal(() => fs.stat(`/${'x/'.repeat(2100)}`, owner))).toBe('ENAMETOOLONG')
    fs.symlink('loop', '/home/loop', owner)
    expect(refusal(() => fs.stat('/home/loop', owner))).toBe('ELOOP')
  })
})

describe('a file of a tmpfs, bound over the tree', () => {
  test('MR9: it is seen at its path, on a device of its own', () => {
    const { fs } = bound(true)

    expect(read(fs, '/home/keys/db')).toBe('s3cr3t')
    expect(fs.stat('/home/keys/db', owner)).toMatchObject({ mode: 0o400, uid: 1000, device: 2 })
    expect(fs.stat('/home/keys', owner).device).toBe(1)
    expect(refusal(() => read(fs, '/home/keys/db', stranger))).toBe('EACCES')
  })

  test('MR9: read-only is so for root, too', () => {
    const { fs } = bound(true)

    expect(refusal(() => write(fs, '/home/keys/db', 'x', 0o600, root))).toBe('EROFS')
    expect(refusal(() => fs.chmod('/home/keys/db', 0o777, root))).toBe('EROFS')
    expect(refusal(() => fs.chown('/home/keys/db', 0, 0, root))).toBe('EROFS')
    expect(refusal(() => fs.utimes('/home/keys/db', 0, 0, root))).toBe('EROFS')
  })

  test('MR9: nobody removes, moves, replaces or links it', () => {
    const { fs } = bound(false)
    write(fs, '/home/new', 'x')

    expect(refusal(() => fs.unlink('/home/keys/db', root))).toBe('EBUSY')
    expect(refusal(() => fs.rename('/home/keys/db', '/home/db', root))).toBe('EBUSY')
    expect(refusal(() => fs.rename('/home/new', '/home/keys/db', root))).toBe('EBUSY')
    expect(refusal(() => fs.link('/home/keys/db', '/home/db', root))).toBe('EXDEV')
  })

  test('MR9: writable, it takes what its tmpfs has room for', () => {
    const { fs } = bound(false)
    write(fs, '/home/keys/db', 'x'.repeat(4096))

    expect(refusal(() => write(fs, '/home/keys/db', 'x'.repeat(4097)))).toBe('ENOSPC')
    expect(fs.usedBytes).toBe(0)
  })

  test('MR9: no symbolic link decides where it goes', () => {
    const { fs, tmpfs } = bound(true)
    const inode = tmpfs.file('0')
    if (inode === undefined) throw new Error('it was written')
    fs.symlink('/home', '/home/link', owner)

    expect(refusal(() => fs.bind('/home/link/db', inode, { isReadOnly: true }, owner))).toBe(
      'ENOTDIR',
    )
    expect(refusal(() => fs.bind('/home/link', inode, { isReadOnly: true }, owner))).toBe('ELOOP')
    expect(refusal(() => fs.bind('/home', inode, { isReadOnly: true }, owner))).toBe('EISDIR')
  })

  test('MR9: unbound, the empty file below it is there; wiped, nobody reads it any more', () => {
    const { fs, tmpfs } = bound(true)
    const open = fs.open('/home/keys/db', {}, owner)

    tmpfs.wipe()
    expect(refusal(() => open.read(0, 10))).toBe('EIO')
    fs.unbind('/home/keys/db')

    expect(read(fs, '/home/keys/db')).toBe('')
  })
})
