import { createHash, timingSafeEqual } from 'node:crypto'
import { utf8, type RedactedBytes } from '@conclave/kernel'
import { RegistryUsersInvalid } from './errors.ts'

export interface RegistryUser {
  readonly name: string
  readonly password: RedactedBytes
  /** Repositories that the user may pull: `tenant-a/app`, or `tenant-a/*` for all below. */
  readonly repositories: readonly string[]
}

const digest = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

interface Known {
  readonly name: string
  readonly credential: Buffer
  readonly repositories: readonly string[]
}

/** Who may pull what. It keeps digests of credentials, and compares all of them in constant time. */
export class RegistryUsers {
  readonly #users: readonly Known[]

  /** @throws RegistryUsersInvalid */
  constructor(users: readonly RegistryUser[]) {
    const names = new Set(users.map(({ name }) => name))
    if (names.size < users.length) throw new RegistryUsersInvalid('two users have one name')
    this.#users = users.map(({ name, password, repositories }) => {
      if (name === '' || name.includes(':')) {
        throw new RegistryUsersInvalid('the name of a user is not empty, and has no colon')
      }
      if (password.reveal().length === 0) {
        throw new RegistryUsersInvalid(`the user ${name} has no password`)
      }
      const credential = digest(Buffer.concat([utf8(`${name}:`), password.reveal()]))
      return { name, credential, repositories }
    })
  }

  /** The user of a `Basic` header, or nothing. */
  userOf(authorization: string | undefined): string | undefined {
    const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1]
    if (basic === undefined) return undefined
    const shown = digest(Buffer.from(basic, 'base64'))
    let found: string | undefined
    for (const { name, credential } of this.#users) {
      if (timingSafeEqual(shown, credential)) found = name
    }
    return found
  }

  mayPull(name: string, repository: string): boolean {
    const user = this.#users.find((one) => one.name === name)
    return (user?.repositories ?? []).some((pattern) =>
      pattern.endsWith('/*') ? repository.startsWith(pattern.slice(0, -1)) : pattern === repository,
    )
  }
}
