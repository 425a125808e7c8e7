import { directory, file, type RootEntry } from './root-entry.ts'

/*
 * What the root of every simulated image has. The programs of /bin and /usr/bin are not in it: the shell has
 * them in these directories wherever no file is.
 */

export interface Account {
  readonly name: string
  readonly id: number
  readonly home: string
  readonly shell: string
}

const nologin = '/usr/sbin/nologin'

const usualAccounts: readonly Account[] = [
  { name: 'root', id: 0, home: '/root', shell: '/bin/sh' },
  { name: 'daemon', id: 1, home: '/usr/sbin', shell: nologin },
  { name: 'www-data', id: 33, home: '/var/www', shell: nologin },
  { name: 'nobody', id: 65_534, home: '/', shell: nologin },
]

/** Where anybody who looks around reads what this is. */
export const noticePath = '/etc/conclave-simulated'

const noticeOf = (name: string): string =>
  `This is not ${name}. It is a stand-in of Conclave's: a few files and scripts for a simulated shell.\n` +
  'Nothing was fetched from any registry, and no program of the real image is in it.\n'

/** The root of an image called `name`, which calls its system `system` and has `accounts` of its own. */
export function baseRoot(
  name: string,
  { id, system }: { readonly id: string; readonly system: string },
  accounts: readonly Account[] = [],
): readonly RootEntry[] {
  const all = [...usualAccounts, ...accounts]
  return [
    directory('/bin'),
    directory('/etc'),
    file('/etc/group', linesOf(all.map(({ name: user, id: gid }) => `${user}:x:${gid}:`))),
    file(
      '/etc/os-release',
      linesOf([`PRETTY_NAME="${system} (simulated by Conclave)"`, `NAME="${system}"`, `ID=${id}`]),
    ),
    file(
      '/etc/passwd',
      linesOf(
        all.map(
          ({ name: user, id: uid, home, shell }) => `${user}:x:${uid}:${uid}::${home}:${shell}`,
        ),
      ),
    ),
    file('/etc/shells', '/bin/sh\n'),
    file(noticePath, noticeOf(name)),
    directory('/home'),
    directory('/opt'),
    directory('/root', 0o700),
    directory('/sbin'),
    directory('/srv'),
    directory('/usr'),
    directory('/usr/bin'),
    directory('/usr/local'),
    directory('/usr/local/bin'),
    directory('/usr/sbin'),
    directory('/usr/share'),
    directory('/var'),
    directory('/var/lib'),
    directory('/var/log'),
    directory('/var/run'),
  ]
}

const linesOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

export const busyboxSystem = { id: 'busybox', system: 'BusyBox' } as const
export const alpineSystem = { id: 'alpine', system: 'Alpine Linux v3.21' } as const
export const debianSystem = { id: 'debian', system: 'Debian GNU/Linux 12 (bookworm)' } as const

export const usualPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
