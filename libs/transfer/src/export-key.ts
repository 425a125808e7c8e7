import { createHash, hkdfSync, scrypt } from 'node:crypto'
import { AeadKey, BoxKeyPair, CryptographicFailure, Kek } from '@conclave/crypto'
import {
  ByteReader,
  BytesMalformed,
  ByteWriter,
  utf8,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import { ExportUnreadable, PassphraseTooShort } from './errors.ts'

/*
 * Where the key of an export comes from: a passphrase, or the X25519 key of whoever is to open it. The
 * header says which, and with what; drawn in docs/formats/export.md.
 */

/** How an export is closed. */
export type ExportLock =
  | { readonly by: 'passphrase'; readonly passphrase: RedactedBytes }
  | { readonly by: 'recipient'; readonly publicKey: Uint8Array }

/** How one is opened. */
export type ExportUnlock =
  | { readonly by: 'passphrase'; readonly passphrase: RedactedBytes }
  | { readonly by: 'recipient'; readonly keyPair: BoxKeyPair }

/** The keys of one export, which seal nothing else. */
export interface ExportKeys {
  /** What the file begins with. Both keys depend on each bit of it. */
  readonly header: Uint8Array
  readonly chunks: AeadKey
  /** Wraps the keyring inside. */
  readonly keyring: Kek
}

const magic = utf8('CNX1')
const byPassphrase = 1
const byRecipient = 2
const saltSizeBytes = 16
const publicKeySizeBytes = 32
const passphraseBytesMin = 12

/** 128 MiB and about half a second for each guess. Source: RFC 7914; OWASP's first choice. */
export const scryptCost = { logN: 17, r: 8, p: 1 } as const
/** What a header may ask of whoever opens it. */
const costMax = { logN: 20, r: 16, p: 4 } as const

/** @throws PassphraseTooShort, CryptographicFailure for a bad public key */
export async function lockExport(
  lock: ExportLock,
  random: Random,
  cost: { readonly logN: number; readonly r: number; readonly p: number } = scryptCost,
): Promise<ExportKeys> {
  const writer = new ByteWriter(64).raw(magic)
  if (lock.by === 'passphrase') {
    if (lock.passphrase.reveal().length < passphraseBytesMin) {
      throw new PassphraseTooShort(passphraseBytesMin)
    }
    const salt = random.bytes(saltSizeBytes)
    writer.u8(byPassphrase).u8(cost.logN).u8(cost.r).u8(cost.p).raw(salt)
    return keysOf(writer.take(), await stretch(lock.passphrase, salt, cost))
  }
  const ephemeral = BoxKeyPair.draw(random)
  const shared = ephemeral.agree(lock.publicKey)
  writer.u8(byRecipient).raw(ephemeral.publicKey).raw(lock.publicKey)
  return keysOf(writer.take(), shared)
}

/** What the header of a file says, without any key. @throws ExportUnreadable */
export function readHeader(bytes: Uint8Array): {
  readonly sizeBytes: number
  readonly unlock: (with_: ExportUnlock) => Promise<ExportKeys>
} {
  try {
    return parseHeader(bytes)
  } catch (cause) {
    if (!(cause instanceof BytesMalformed)) throw cause
    throw new ExportUnreadable('this is no export of a store, or it is cut off', { cause })
  }
}

/** As many bytes as a header has at most. */
export const headerSizeBytesMax = 5 + 2 * publicKeySizeBytes

function parseHeader(bytes: Uint8Array): ReturnType<typeof readHeader> {
  const reader = new ByteReader(bytes)
  const isOurs = reader.raw(magic.length).every((byte, at) => byte === magic[at])
  if (!isOurs) throw new ExportUnreadable('this is no export of a store')
  const kind = reader.u8()
  const header = (): Uint8Array => bytes.slice(0, bytes.length - reader.remaining)
  if (kind === byPassphrase) {
    const cost = { logN: reader.u8(), r: reader.u8(), p: reader.u8() }
    const salt = reader.raw(saltSizeBytes)
    if (cost.logN < 1 || cost.r < 1 || cost.p < 1) throw new ExportUnreadable('no cost for guesses')
    if (cost.logN > costMax.logN || cost.r > costMax.r || cost.p > costMax.p) {
      throw new ExportUnreadable('it asks for more work than any export of ours does')
    }
    // RFC 7914, 2: N is less than 2^(128 r / 8).
    if (cost.logN >= 16 * cost.r)
      throw new ExportUnreadable('its cost for guesses is no possible one')
    const own = header()
    return {
      sizeBytes: own.length,
      unlock: async (unlock) => {
        if (unlock.by !== 'passphrase') throw new ExportUnreadable('it opens with a passphrase')
        return keysOf(own, await stretch(unlock.passphrase, salt, cost))
      },
    }
  }
  if (kind !== byRecipient) throw new ExportUnreadable(`kind ${kind} of key is not known`)
  const ephemeral = reader.raw(publicKeySizeBytes)
  const recipient = reader.raw(publicKeySizeBytes)
  const own = header()
  return {
    sizeBytes: own.length,
    unlock: async (unlock) => {
      if (unlock.by !== 'recipient') throw new ExportUnreadable("it opens with a recipient's key")
      const isTheirs = unlock.keyPair.publicKey.every((byte, at) => byte === recipient[at])
      if (!isTheirs) throw new ExportUnreadable('it was sealed for another key')
      return keysOf(own, agreed(unlock.keyPair, ephemeral))
    },
  }
}

function agreed(keyPair: BoxKeyPair, ephemeral: Uint8Array): Uint8Array {
  try {
    return keyPair.agree(ephemeral)
  } catch (cause) {
    if (!(cause instanceof CryptographicFailure)) throw cause
    throw new ExportUnreadable('its header is damaged', { cause })
  }
}

/** Wipes `secret`. */
function keysOf(header: Uint8Array, secret: Uint8Array): ExportKeys {
  const salt = createHash('sha256').update(header).digest()
  const derive = (info: string): AeadKey => {
    const bytes = new Uint8Array(hkdfSync('sha256', secret, salt, info, 32))
    const key = AeadKey.of(bytes)
    bytes.fill(0)
    return key
  }
  const chunks = derive('conclave/export/v1/chunks')
  const keyring = Kek.of(derive('conclave/export/v1/keyring'))
  secret.fill(0)
  return { header, chunks, keyring }
}

function stretch(
  passphrase: RedactedBytes,
  salt: Uint8Array,
  { logN, r, p }: { readonly logN: number; readonly r: number; readonly p: number },
): Promise<Uint8Array> {
  const N = 2 ** logN
  // What it needs grows with p as well; twice that, since OpenSSL counts some more.
  const options = { N, r, p, maxmem: 256 * r * (N + p + 2) }
  return new Promise((resolve, reject) => {
    scrypt(passphrase.reveal(), salt, 32, options, (error, key) => {
      if (error === null) resolve(new Uint8Array(key.buffer, key.byteOffset, key.byteLength))
      else reject(error)
    })
  })
}
