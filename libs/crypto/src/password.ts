import { scrypt, timingSafeEqual } from 'node:crypto'
import type { Random, RedactedBytes } from '@conclave/kernel'
import { CryptographicFailure } from './cryptographic-failure.ts'

/** scrypt's parameters (RFC 7914): 2^logN blocks of 128·r bytes, p times. */
export interface PasswordCost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

/** 16 MiB and about a fifth of a second. Source: OWASP password storage, scrypt, fourth choice. */
export const passwordCost: PasswordCost = { logN: 14, r: 8, p: 5 }

const saltSizeBytes = 16
const hashSizeBytes = 32
const memoryBytesMax = 128 * 1024 * 1024
const phc =
  /^\$scrypt\$ln=([1-9]\d?),r=([1-9]\d?),p=([1-9]\d?)\$([A-Za-z\d+/]{22})\$([A-Za-z\d+/]{43})$/

const nobodysHash = format(
  passwordCost,
  new Uint8Array(saltSizeBytes),
  new Uint8Array(hashSizeBytes),
)

/** `password`, which stays the caller's to wipe, as a PHC string: docs/formats/password.md. */
export async function hashPassword(
  password: RedactedBytes,
  random: Random,
  cost: PasswordCost = passwordCost,
): Promise<string> {
  const salt = random.bytes(saltSizeBytes)
  return format(cost, salt, await stretch(password, salt, cost))
}

/**
 * Whether `password` is the one behind `hash`. Give `undefined` for a user who does not exist: the
 * answer is then no, after the same work, so that time does not tell who exists.
 *
 * @throws CryptographicFailure when `hash` is no hash of ours: the record is damaged
 */
export async function verifyPassword(
  password: RedactedBytes,
  hash: string | undefined,
): Promise<boolean> {
  const { cost, salt, expected } = parse(hash ?? nobodysHash)
  const actual = await stretch(password, salt, cost)
  return timingSafeEqual(actual, expected) && hash !== undefined
}

function format({ logN, r, p }: PasswordCost, salt: Uint8Array, hash: Uint8Array): string {
  return `$scrypt$ln=${logN},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`
}

function parse(text: string): { cost: PasswordCost; salt: Uint8Array; expected: Uint8Array } {
  const [, logN, r, p, salt, hash] = phc.exec(text) ?? []
  if (salt === undefined || hash === undefined) throw new CryptographicFailure()
  const cost = { logN: Number(logN), r: Number(r), p: Number(p) }
  const parts = { cost, salt: fromBase64(salt), expected: fromBase64(hash) }
  // A damaged record must not make us reserve gigabytes, nor have a second spelling.
  const isAffordable = memoryBytes(cost) <= memoryBytesMax && cost.p <= 16
  if (!isAffordable || format(cost, parts.salt, parts.expected) !== text) {
    throw new CryptographicFailure()
  }
  return parts
}

function stretch(password: RedactedBytes, salt: Uint8Array, cost: PasswordCost): Promise<Buffer> {
  const { logN, r, p } = cost
  const options = { N: 2 ** logN, r, p, maxmem: memoryBytes(cost) + 128 * r * (p + 2) }
  return new Promise((resolve, reject) => {
    scrypt(password.reveal(), salt, hashSizeBytes, options, (error, hash) => {
      if (error === null) resolve(hash)
      else reject(error)
    })
  })
}

const memoryBytes = ({ logN, r }: PasswordCost): number => 128 * 2 ** logN * r

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
