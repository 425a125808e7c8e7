import { ConclaveError, Redacted, type RedactedBytes } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import { parseRedisAddress, type RedisAddress } from '@conclave/peer-redis'

export interface CandidateOptions {
  readonly redis: { readonly host?: string; readonly port?: number; readonly url?: string }
  /** Which group this is, such as the name of a service. Default `default`. */
  readonly kind?: string
  /** What others are told of this instance: anything that JSON can say. */
  readonly meta?: unknown
  /** The name of this instance. It stays the same when it is started again. */
  readonly id: string
  /** The names of all instances of the group, the same list for each, for ever: a majority is one of these. */
  readonly members: readonly string[]
  /** Where term and vote are kept. Each instance has its own, and keeps it. */
  readonly directory: string
  /** At least 32 random bytes that all instances share, and nobody else has. Copied. */
  readonly key: Uint8Array
  /** A leader that is silent for ten of these is replaced. Default 100 ms. */
  readonly tickMs?: number
  readonly log?: Log
}

/** What a candidate was made with cannot be. Names the option and the mend. */
export class CandidateOptionsInvalid extends ConclaveError {
  readonly code = 'candidate.options-invalid'
}

/** The options, checked. */
export interface Settings {
  readonly redis: RedisAddress
  readonly kind: string
  readonly id: string
  /** In the order of their node ids, which begin with 1. */
  readonly members: readonly string[]
  readonly nodeId: number
  readonly directory: string
  readonly key: RedactedBytes
  readonly tickMs: number
}

const name = /^[\w.-]{1,64}$/
const kindName = /^[\w.:-]{1,48}$/
const keyBytesMin = 32
const membersMax = 15

/** @throws CandidateOptionsInvalid, RedisAddressInvalid */
export function settingsOf(options: CandidateOptions): Settings {
  const { id, members, directory, key, kind = 'default', tickMs = 100 } = options
  const { host = 'localhost', port = 6379, url = `redis://${host}:${port}` } = options.redis
  check(kindName.test(kind), 'kind has 1 to 48 letters, digits, dots, colons, _ or -')
  check(
    members.length > 0 && members.length <= membersMax && members.every((one) => name.test(one)),
    `members are 1 to ${membersMax} names of letters, digits, dots, _ or -`,
  )
  check(new Set(members).size === members.length, 'members has a name twice')
  check(members.includes(id), 'id is not among members: it is one of these names')
  check(directory.length > 0, 'directory is missing: term and vote must outlive the process')
  check(key.length >= keyBytesMin, `key has ${key.length} bytes: draw ${keyBytesMin} at random`)
  check(Number.isInteger(tickMs) && tickMs >= 5 && tickMs <= 5000, 'tickMs is from 5 to 5000')
  const sorted = members.toSorted()
  return {
    redis: parseRedisAddress(url),
    kind,
    id,
    members: sorted,
    nodeId: sorted.indexOf(id) + 1,
    directory,
    key: new Redacted(Uint8Array.from(key)),
    tickMs,
  }
}

function check(claim: boolean, why: string): void {
  if (!claim) throw new CandidateOptionsInvalid(why)
}
