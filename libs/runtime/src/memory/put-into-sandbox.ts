import { HostFailed, sandboxDirectory, type FetchedFile, type Owner } from '@conclave/isolators'
import { FileSystemError } from '@conclave/shell'
import type { MemoryFileSystem } from './memory-file-system.ts'

/**
 * Writes what was fetched into the sandbox, in the name of its owner: what they may not write to, it does
 * not replace.
 *
 * @throws HostFailed
 */
export function putIntoSandbox(
  fs: MemoryFileSystem,
  files: readonly FetchedFile[],
  owner: Owner,
): void {
  for (const file of files) {
    const at = `${sandboxDirectory}/${file.path}`
    try {
      makeParents(fs, file.path, owner)
      put(fs, at, file, owner)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      throw new HostFailed(`${file.path}: ${refusal.message}`, { cause: refusal })
    }
  }
}

function put(fs: MemoryFileSystem, at: string, file: FetchedFile, owner: Owner): void {
  switch (file.kind) {
    case 'directory':
      return makeDirectory(fs, at, file.mode, owner)
    case 'symlink':
      return fs.symlink(file.target, at, owner)
    case 'file': {
      const options = { write: true, create: true, truncate: true, mode: file.mode }
      const handle = fs.open(at, options, owner)
      handle.write(0, file.bytes)
      handle.close()
    }
  }
}

function makeParents(fs: MemoryFileSystem, path: string, owner: Owner): void {
  const names = path.split('/').slice(0, -1)
  for (const [index] of names.entries()) {
    makeDirectory(fs, `${sandboxDirectory}/${names.slice(0, index + 1).join('/')}`, 0o755, owner)
  }
}

function makeDirectory(fs: MemoryFileSystem, at: string, mode: number, owner: Owner): void {
  try {
    fs.mkdir(at, mode, owner)
  } catch (refusal) {
    if (!(refusal instanceof FileSystemError && refusal.posix === 'EEXIST')) throw refusal
  }
}
