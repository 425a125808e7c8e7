import { utf8 } from '@conclave/kernel'
import { sandboxDirectory } from '@conclave/isolators'
import type { User } from '@conclave/shell'
import type { MemoryFileSystem } from './memory-file-system.ts'

/*
 * What a container finds when it looks around. There are no programs in it: the shell brings its own.
 */

export const rootUser: User = { name: 'root', uid: 0, gid: 0, home: '/root' }
const nobody: User = { name: 'nobody', uid: 65_534, gid: 65_534, home: '/' }

/** Root and nobody are always there; `user` is whoever the container runs as. */
export const accountsWith = (user: User): readonly User[] =>
  user.uid === 0 ? [rootUser, nobody] : [rootUser, nobody, user]

const superuser = { uid: 0, gid: 0 }

const directories: readonly (readonly [path: string, mode: number])[] = [
  ['/bin', 0o755],
  ['/dev', 0o755],
  ['/etc', 0o755],
  ['/home', 0o755],
  ['/mnt', 0o755],
  ['/mnt/mesos', 0o755],
  ['/proc', 0o555],
  ['/root', 0o700],
  ['/run', 0o755],
  ['/tmp', 0o1777],
  ['/usr', 0o755],
  ['/usr/bin', 0o755],
  ['/var', 0o755],
  ['/var/tmp', 0o1777],
]

const osRelease = utf8(
  'NAME="Conclave memory runtime"\nID=conclave\nPRETTY_NAME="Conclave (memory)"\n',
)

/** Puts the image into an empty file system, with `user` as the owner of the sandbox. */
export function layDown(fs: MemoryFileSystem, user: User, hostname: string): void {
  for (const [path, mode] of directories) fs.mkdir(path, mode, superuser)
  fs.mkdir(sandboxDirectory, 0o755, superuser)
  fs.chown(sandboxDirectory, user.uid, user.gid, superuser)
  fs.share('/etc/os-release', osRelease)
  fs.share('/etc/hostname', utf8(`${hostname}\n`))
  fs.share('/etc/hosts', utf8(`127.0.0.1\tlocalhost\n127.0.1.1\t${hostname}\n`))
  fs.share(
    '/etc/passwd',
    accounts(user, ({ name, uid, gid, home }) => `${name}:x:${uid}:${gid}::${home}:/bin/sh`),
  )
  fs.share(
    '/etc/group',
    accounts(user, ({ name, gid }) => `${name}:x:${gid}:`),
  )
}

const accounts = (user: User, line: (user: User) => string): Uint8Array =>
  utf8(
    accountsWith(user)
      .map((one) => `${line(one)}\n`)
      .join(''),
  )
