import { fromText, type ByteString } from '../byte-string.ts'
import type { FileStat } from '../file-system.ts'
import type { Invocation } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'

/** Mode bits as `ls -l` shows them, such as `-rw-r--r--`. */
export function modeText(stat: FileStat): string {
  const type = stat.kind === 'directory' ? 'd' : stat.kind === 'symlink' ? 'l' : '-'
  const triple = (shift: number, special: number, letter: string): string => {
    const bits = stat.mode >> shift
    const mayExecute = (bits & 1) !== 0
    const isSpecial = (stat.mode & special) !== 0
    const plain = mayExecute ? 'x' : '-'
    const last = isSpecial ? (mayExecute ? letter : letter.toUpperCase()) : plain
    return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`
  }
  return type + triple(6, 0o4000, 's') + triple(3, 0o2000, 's') + triple(0, 0o1000, 't')
}

export const userName = (invocation: Invocation, uid: number): ByteString =>
  fromText(users(invocation).find((user) => user.uid === uid)?.name ?? String(uid))

/** A group is called as the account whose group it is. */
export const groupName = (invocation: Invocation, gid: number): ByteString =>
  fromText(users(invocation).find((user) => user.gid === gid)?.name ?? String(gid))

const users = (invocation: Invocation) => invocation.process.kernel.surroundings.users

/** A user, by name or number. */
export function findUser(invocation: Invocation, text: ByteString): number | undefined {
  const named = users(invocation).find(({ name }) => fromText(name) === text)
  if (named !== undefined) return named.uid
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

export function findGroup(invocation: Invocation, text: ByteString): number | undefined {
  const named = users(invocation).find(({ name }) => fromText(name) === text)
  if (named !== undefined) return named.gid
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

/** What turns one mode into another. */
export type ModeChange = (mode: number, isDirectory: boolean) => number

const whoBits: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 }

/**
 * A mode as `chmod` reads it: octal, or clauses such as `u+rwX,go=`.
 *
 * @throws ScriptFault for anything else
 */
export function parseMode(text: ByteString, umask: number): ModeChange {
  if (/^[0-7]{1,4}$/.test(text)) {
    const value = Number.parseInt(text, 8)
    // Set-id bits of a directory stay unless five digits say otherwise, as GNU has it.
    return (mode, isDirectory) => (isDirectory ? value | (mode & 0o6000) : value)
  }
  const clauses = text.split(',').map((clause) => {
    const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause)
    if (match === null) throw new ScriptFault(`invalid mode: '${text}'`, 1)
    const [, who = '', actions = ''] = match
    return { who, actions: actions.match(/[-+=](?:[ugo]|[rwxXst]*)/g) ?? [] }
  })
  return (mode, isDirectory) => {
    let result = mode
    for (const { who, actions } of clauses) {
      const asked = Array.from(who, (letter) => whoBits[letter] ?? 0).reduce(
        (all, one) => all | one,
        0,
      )
      // Nobody named means everybody, as far as the umask lets them.
      const mask = who === '' ? 0o7777 & ~umask : asked
      for (const action of actions) {
        const bits = bitsOf(action.slice(1), result, isDirectory) & mask
        if (action.startsWith('+')) result |= bits
        else if (action.startsWith('-')) result &= ~bits
        else result = (result & ~(who === '' ? 0o7777 : asked) & 0o7777) | bits
      }
    }
    return result
  }
}

function bitsOf(letters: string, mode: number, isDirectory: boolean): number {
  let bits = 0
  for (const letter of letters) {
    switch (letter) {
      case 'r':
        bits |= 0o444
        break
      case 'w':
        bits |= 0o222
        break
      case 'x':
        bits |= 0o111
        break
      case 'X':
        if (isDirectory || (mode & 0o111) !== 0) bits |= 0o111
        break
      case 's':
        bits |= 0o6000
        break
      case 't':
        bits |= 0o1000
        break
      case 'u':
        bits |= spread(mode >> 6)
        break
      case 'g':
        bits |= spread(mode >> 3)
        break
      default:
        bits |= spread(mode)
    }
  }
  return bits
}

const spread = (triple: number): number => (triple & 7) * 0o111
