import { createBoxKeyPair, Keyring } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import type { StateRecord } from '@conclave/store'
import { canary, findCanary, SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExportUnreadable, PassphraseTooShort } from './errors.ts'
import { readExport, verifyExport, writeExport, type ExportItem } from './export-file.ts'
import type { ExportLock, ExportUnlock } from './export-key.ts'
import type { StateSource } from './state-source.ts'
import { someState } from './testing/some-state.ts'

/** Cheap to guess, for tests alone; and no flipped bit of 5 asks for more than is refused, or than 2^13. */
const cost = { logN: 5, r: 8, p: 1 }
const passphrase = new Redacted(utf8('correct horse battery'))
const lock = { by: 'passphrase', passphrase } as const

async function exported(source: StateSource, by: ExportLock = lock, seed = 1): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of writeExport(source, by, new SeededRandom(seed), cost))
    pieces.push(piece)
  return Buffer.concat(pieces)
}

/** In pieces of any size, as a disk or a network hands them over. */
async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(
  bytes: Uint8Array,
  by: ExportUnlock = lock,
  size = 1000,
): Promise<ExportItem[]> {
  const items: ExportItem[] = []
  for await (const item of readExport(inPieces(bytes, size), by)) items.push(item)
  return items
}

const recordsIn = (items: readonly ExportItem[]): readonly StateRecord[] =>
  items.flatMap((item) => (item.kind === 'record' ? [item.record] : []))

async function recordsOf(source: StateSource): Promise<readonly StateRecord[]> {
  const records: StateRecord[] = []
  for await (const record of source.records()) records.push(record)
  return records
}

const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'it was not refused',
    (error: unknown) => error,
  )

const values = fc.dictionary(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  fc.string(),
  {
    maxKeys: 12,
  },
)
/** Large enough for several chunks. */
const large = someState(
  Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`k${at}`, 'v'.repeat(100_000)])),
)

describe('TF1: an export', () => {
  test('gives back what was put into it, however it arrives', async () => {
    await fc.assert(
      fc.asyncProperty(values, fc.integer({ min: 1, max: 400 }), async (all, size) => {
        const source = someState(all)
        const items = await read(await exported(source), lock, size)

        expect(items[0]).toEqual({ kind: 'manifest', manifest: source.manifest })
        expect(recordsIn(items)).toEqual(await recordsOf(source))
      }),
      { numRuns: 40 },
    )
  })

  test('brings the keyring along, which opens what it did', async () => {
    const [, item] = await read(await exported(someState({ a: '1' })))
    const original = Keyring.create(new SeededRandom(7))

    const keyring = item?.kind === 'keyring' ? item.keyring : undefined
    expect(keyring?.newest.id).toBe(1)
    expect(keyring?.newest.key.bytes()).toEqual(original.newest.key.bytes())
  })

  test('of a state whose keyring nobody could open comes without', async () => {
    const source = { ...someState({ a: '1' }), keyring: undefined }

    const summary = await verifyExport(inPieces(await exported(source)), lock)

    expect(summary).toMatchObject({ hasKeyring: false, recordCount: 1 })
  })

  test('is not finished when its source was not', async () => {
    const failing = someState({ a: '1', b: '2' }, 1)

    expect(await refusal(exported(failing))).toMatchObject({ message: 'the source broke off' })
  })
})

describe('TF2: an export is refused', () => {
  test('with any bit flipped', async () => {
    const bytes = await exported(someState({ a: '1', b: '2' }))
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 0, max: 7 }),
        async (at, bit) => {
          const damaged = Buffer.from(bytes)
          damaged[at] = (damaged[at] ?? 0) ^ (1 << bit)
          expect(await refusal(read(damaged))).toBeInstanceOf(ExportUnreadable)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('cut off anywhere, or with anything behind its end', async () => {
    const bytes = await exported(someState({ a: '1', b: '2' }))
    for (let size = 0; size < bytes.length; size++) {
      expect(await refusal(read(bytes.subarray(0, size)))).toBeInstanceOf(ExportUnreadable)
    }
    const longer = Buffer.concat([bytes, Buffer.from([0])])
    expect(await refusal(read(longer))).toBeInstanceOf(ExportUnreadable)
  })

  test('with chunks left out, repeated, moved, or of another export', async () => {
    const bytes = await exported(large)
    const other = await exported(large, lock, 2)
    const [header, ...chunks] = partsOf(bytes)
    const [, foreign] = partsOf(other)
    expect(chunks.length).toBeGreaterThan(3)
    const [first, second, ...rest] = chunks
    const last = chunks.at(-1)
    const whole = [header, ...chunks]
    const broken = [
      [header, second, first, ...rest],
      [header, first, ...rest],
      [header, first, first, second, ...rest],
      [header, foreign, second, ...rest],
      [header, last],
      whole.slice(0, -1),
      [...whole, last],
    ]

    expect(recordsIn(await read(joined(whole)))).toHaveLength(12)
    for (const parts of broken) {
      expect(await refusal(read(joined(parts)))).toBeInstanceOf(ExportUnreadable)
    }
  })

  test('by another passphrase, another key, and for another kind of key', async () => {
    const random = new SeededRandom(3)
    const [pair, other] = [createBoxKeyPair(random), createBoxKeyPair(random)]
    const byPassphrase = await exported(someState({ a: '1' }))
    const byKey = await exported(someState({ a: '1' }), {
      by: 'recipient',
      publicKey: pair.publicKey,
    })
    const wrong = new Redacted(utf8('correct horse batterz'))
    const refused = await Promise.all(
      [
        read(byPassphrase, { by: 'passphrase', passphrase: wrong }),
        read(byPassphrase, { by: 'recipient', keyPair: pair }),
        read(byKey, { by: 'recipient', keyPair: other }),
        read(byKey),
        read(Buffer.from('no export at all, but some bytes')),
      ].map(refusal),
    )

    expect(recordsIn(await read(byKey, { by: 'recipient', keyPair: pair }))).toHaveLength(1)
    for (const one of refused) expect(one).toBeInstanceOf(ExportUnreadable)
  })

  test('when it asks for the work of a day', async () => {
    const bytes = await exported(someState({ a: '1' }))
    bytes[5] = 40

    expect(await refusal(read(bytes))).toMatchObject({
      message: expect.stringContaining('more work'),
    })
  })

  test.each([
    [1, 8, 1],
    [1, 1, 4],
    [1, 16, 4],
    [15, 1, 1],
    [16, 1, 1],
    [20, 1, 4],
    [0, 8, 1],
    [5, 0, 1],
    [5, 8, 0],
  ])('with another cost than it was sealed at: 2^%i, %i, %i', async (...costs) => {
    const bytes = await exported(someState({ a: '1' }))
    bytes.set(costs, 5)

    expect(await refusal(read(bytes))).toBeInstanceOf(ExportUnreadable)
  })

  test('before it is written, under a passphrase that anybody could guess', async () => {
    const short = new Redacted(utf8('short'))

    const refused = await refusal(exported(large, { by: 'passphrase', passphrase: short }))

    expect(refused).toBeInstanceOf(PassphraseTooShort)
  })
})

test('TF3: nothing of what is in it can be seen from outside', async () => {
  const value = canary('value')
  const key = canary('key')

  const bytes = await exported(someState({ [key.text]: value.text }))

  expect(findCanary(bytes, value)).toEqual([])
  expect(findCanary(bytes, key)).toEqual([])
})

const joined = (parts: readonly (Uint8Array | undefined)[]): Buffer =>
  Buffer.concat(parts.map((part) => part ?? new Uint8Array()))

/** The header of a passphrase, and each chunk with its length in front. */
function partsOf(bytes: Buffer): readonly Buffer[] {
  const headerSizeBytes = 4 + 4 + 16
  const parts = [bytes.subarray(0, headerSizeBytes)]
  for (let at = headerSizeBytes; at < bytes.length;) {
    const end = at + 4 + (bytes.readUInt32BE(at) & 0x7fff_ffff)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}
