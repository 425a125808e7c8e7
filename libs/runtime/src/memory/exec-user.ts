import { ProgramRefused } from '@conclave/actors'
import { utf8Text } from '@conclave/kernel'

/** Whom a program is run as. */
export interface ExecUser {
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/**
 * Who is meant by `name`, `uid`, `name:group` or `uid:gid`, as the container's `/etc/passwd` and `/etc/group`
 * have it. A number needs no entry. Source: moby, `github.com/moby/sys/user`, `GetExecUser`.
 *
 * @param read a file of the container, or undefined when it has none
 * @throws ProgramRefused
 */
export function execUserOf(
  asked: string,
  read: (path: string) => Uint8Array | undefined,
): ExecUser {
  const [user = '', group = ''] = asked.split(':', 2)
  const entry = entriesOf(read('/etc/passwd')).find(
    ([name, , uid]) => name === user || (isNumber(user) && uid === user),
  )
  if (entry === undefined && !isNumber(user)) {
    throw new ProgramRefused(126, `unable to find user ${user}: no matching entries in passwd file`)
  }
  const [, , uid = user, gid = '0', , home = '/'] = entry ?? []
  if (group === '') return { uid: Number(uid), gid: Number(gid), home }
  const found = entriesOf(read('/etc/group')).find(([name]) => name === group)
  if (found === undefined && !isNumber(group)) {
    throw new ProgramRefused(
      126,
      `unable to find group ${group}: no matching entries in group file`,
    )
  }
  return { uid: Number(uid), gid: Number(found?.[2] ?? group), home }
}

const isNumber = (text: string): boolean => /^\d{1,10}$/.test(text)

const entriesOf = (file: Uint8Array | undefined): readonly (readonly string[])[] =>
  (file === undefined ? '' : utf8Text(file)).split('\n').map((line) => line.split(':'))
