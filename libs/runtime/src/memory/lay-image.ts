import { HostFailed, sandboxDirectory, type ImageRoot } from '@conclave/isolators'
import { FileSystemError } from '@conclave/shell'
import type { MemoryFileSystem } from './memory-file-system.ts'

/** Files that belong to a container and not to its image, whoever has put some into one. */
const ownFiles: readonly string[] = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf']

const superuser = { uid: 0, gid: 0 }

/**
 * Lays an image over what every container has. Machine code in it is dead weight: what runs here is the
 * shell's, and scripts.
 *
 * @throws HostFailed
 */
export function layImage(fs: MemoryFileSystem, { entries, config }: ImageRoot): void {
  try {
    for (const entry of entries) {
      if (ownFiles.includes(entry.path)) continue
      const isAbove = `${sandboxDirectory}/`.startsWith(`${entry.path}/`)
      if (isAbove && entry.kind !== 'directory') {
        throw new HostFailed(`the image has no directory at ${entry.path}, where the sandbox is`)
      }
      fs.lay(entry)
    }
    makeDirectories(fs, config.workingDirectory)
  } catch (refusal) {
    if (!(refusal instanceof FileSystemError)) throw refusal
    throw new HostFailed(`the image cannot be laid down: ${refusal.message}`, { cause: refusal })
  }
}

/** A working directory is there, also when no layer has it: docker makes it, too. */
export function makeDirectories(fs: MemoryFileSystem, path: string | undefined): void {
  if (path === undefined || !path.startsWith('/')) return
  const names = path.split('/').filter((name) => name !== '')
  for (const [index] of names.entries()) {
    const at = `/${names.slice(0, index + 1).join('/')}`
    try {
      fs.mkdir(at, 0o755, superuser)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError && refusal.posix === 'EEXIST')) throw refusal
    }
  }
}
