import { open } from 'node:fs/promises'
import { BoxKeyPair } from '@conclave/crypto'
import { wipe, type Random } from '@conclave/kernel'
import type { ExportLock, ExportUnlock } from '@conclave/transfer'
import { CommandFailed } from '../failure.ts'
import { readInput } from '../input.ts'
import { readPassphrase } from './passphrase.ts'

export interface LockOptions {
  readonly passphraseFile?: string
  /** A public key, as `conclave store keygen` prints it. */
  readonly recipient?: string
}

export interface UnlockOptions {
  readonly passphraseFile?: string
  /** The file of a private key, as `conclave store keygen` writes it. */
  readonly keyFile?: string
}

const keyShape = /^conclave-export-1:([A-Za-z\d+/]{43}=)$/
const privateShape = /^conclave-export-key-1:([A-Za-z\d+/]{43}=)\n?$/

/** Does something with the lock, whose secret is then wiped. */
export async function withLock<T>(
  { passphraseFile, recipient }: LockOptions,
  use: (lock: ExportLock) => Promise<T>,
): Promise<T> {
  if (recipient !== undefined) return use({ by: 'recipient', publicKey: publicKeyOf(recipient) })
  const passphrase = await readPassphrase(passphraseFile, true)
  try {
    return await use({ by: 'passphrase', passphrase })
  } finally {
    wipe(passphrase)
  }
}

export async function withUnlock<T>(
  { passphraseFile, keyFile }: UnlockOptions,
  use: (unlock: ExportUnlock) => Promise<T>,
): Promise<T> {
  if (keyFile !== undefined) return use({ by: 'recipient', keyPair: await keyPairIn(keyFile) })
  const passphrase = await readPassphrase(passphraseFile, false)
  try {
    return await use({ by: 'passphrase', passphrase })
  } finally {
    wipe(passphrase)
  }
}

/** Writes a fresh private key for its owner alone. Answers with the public key's text. */
export async function writeKeyFile(file: string, random: Random): Promise<string> {
  const raw = random.bytes(32)
  const text = Buffer.from(`conclave-export-key-1:${Buffer.from(raw).toString('base64')}\n`)
  try {
    const handle = await open(file, 'wx', 0o600).catch((cause: unknown) => {
      const { code = 'unusable' } = cause as { code?: string }
      throw new CommandFailed('conflict', `${file} cannot be made (${code}); name a new file`, {
        cause,
      })
    })
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    const { publicKey } = BoxKeyPair.of(raw)
    return `conclave-export-1:${Buffer.from(publicKey).toString('base64')}`
  } finally {
    raw.fill(0)
    text.fill(0)
  }
}

function publicKeyOf(text: string): Uint8Array {
  const [, base64] = keyShape.exec(text) ?? []
  if (base64 !== undefined) return new Uint8Array(Buffer.from(base64, 'base64'))
  throw new CommandFailed(
    'usage',
    '--recipient: expected conclave-export-1:… as conclave store keygen prints it',
  )
}

async function keyPairIn(file: string): Promise<BoxKeyPair> {
  const bytes = await readInput(file)
  try {
    const [, base64] = privateShape.exec(bytes.toString('latin1')) ?? []
    if (base64 === undefined) {
      throw new CommandFailed('usage', `${file} is no key file of conclave store keygen`)
    }
    const raw = Buffer.from(base64, 'base64')
    const pair = BoxKeyPair.of(raw)
    raw.fill(0)
    return pair
  } finally {
    bytes.fill(0)
  }
}
