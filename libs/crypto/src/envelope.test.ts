import { Redacted, utf8, type Random, type RedactedBytes } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AeadKey,
  CryptographicFailure,
  envelopeDekId,
  envelopeOverheadBytes,
  Keyring,
  openEnvelope,
  rewrapEnvelope,
  sealEnvelope,
} from './index.ts'

const place = { clusterId: 'cluster-1', path: 'dev/db/password', version: 3 }
const secret = (text: string): RedactedBytes => new Redacted(utf8(text))

function failureOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}

describe('an envelope', () => {
  const random = new SeededRandom(1)
  const keyring = Keyring.create(random)
  const plaintext = secret('s3cr3t')
  const envelope = sealEnvelope({ ...place, dek: keyring.newest, plaintext, random })

  test('CR1: opens to the bytes that were sealed, which stay the caller’s', () => {
    const opened = openEnvelope({ ...place, keyring, envelope })

    expect(opened.reveal()).toEqual(utf8('s3cr3t'))
    expect(plaintext.reveal()).toEqual(utf8('s3cr3t'))
    expect(envelope.length).toBe(envelopeOverheadBytes + 6)
  })

  test.each([0, 1, 511_999, 512_000, 1024 * 1024])('CR1: holds %d bytes', (size) => {
    const value = new Redacted(new Uint8Array(size).fill(7))
    const sealed = sealEnvelope({ ...place, dek: keyring.newest, plaintext: value, random })

    const opened = openEnvelope({ ...place, keyring, envelope: sealed }).reveal()
    expect(Buffer.from(opened).equals(value.reveal())).toBe(true)
  })

  test('CR1: whatever it holds and wherever it belongs, opens there and nowhere else', () => {
    const anyPlace = fc.record({
      clusterId: fc.string({ maxLength: 8 }),
      path: fc.string({ maxLength: 8 }),
      version: fc.nat(),
    })
    fc.assert(
      fc.property(anyPlace, anyPlace, fc.uint8Array({ maxLength: 40 }), (a, b, bytes) => {
        const value = new Redacted(bytes)
        const sealed = sealEnvelope({ ...a, dek: keyring.newest, plaintext: value, random })
        expect(openEnvelope({ ...a, keyring, envelope: sealed }).reveal()).toEqual(bytes)
        fc.pre(a.clusterId !== b.clusterId || a.path !== b.path || a.version !== b.version)
        expect(() => openEnvelope({ ...b, keyring, envelope: sealed })).toThrow(
          CryptographicFailure,
        )
      }),
    )
  })

  test('CR1: a boundary moved between cluster, path and version is another place', () => {
    const seal = (o: typeof place) =>
      sealEnvelope({ ...o, dek: keyring.newest, plaintext, random: new SeededRandom(5) })
    const moved = { ...place, clusterId: 'cluster-1d', path: 'ev/db/password' }

    expect(() => openEnvelope({ ...moved, keyring, envelope: seal(place) })).toThrow(
      CryptographicFailure,
    )
  })

  test('CR2: with any one bit flipped, stays shut', () => {
    for (let bit = 0; bit < envelope.length * 8; bit++) {
      const changed = envelope.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const failure = failureOf(() => openEnvelope({ ...place, keyring, envelope: changed }))
      expect(failure, `bit ${bit}`).toBeInstanceOf(CryptographicFailure)
    }
  })

  test('CR2: cut anywhere, or with bytes behind it, stays shut', () => {
    for (let size = 0; size < envelope.length; size++) {
      const cut = envelope.subarray(0, size)
      expect(() => openEnvelope({ ...place, keyring, envelope: cut })).toThrow(CryptographicFailure)
    }
    const long = Uint8Array.of(...envelope, 0)
    expect(() => openEnvelope({ ...place, keyring, envelope: long })).toThrow(CryptographicFailure)
  })

  test('CR2: put together from two envelopes of one place, stays shut', () => {
    const other = sealEnvelope({
      ...place,
      dek: keyring.newest,
      plaintext: secret('0ther!'),
      random,
    })

    for (const at of [22, 70, 82, 87]) {
      const spliced = Uint8Array.of(...envelope.subarray(0, at), ...other.subarray(at))
      const open = () => openEnvelope({ ...place, keyring, envelope: spliced })
      expect(open).toThrow(CryptographicFailure)
    }
  })

  test('CR2: says the same whatever was wrong', () => {
    const foreign = Keyring.create(new SeededRandom(2))
    const failures = [
      failureOf(() => openEnvelope({ ...place, keyring: foreign, envelope })),
      failureOf(() => openEnvelope({ ...place, path: 'x', keyring, envelope })),
      failureOf(() => openEnvelope({ ...place, keyring, envelope: new Uint8Array(3) })),
      failureOf(() =>
        openEnvelope({ ...place, keyring: keyring.rotate(random).drop(1), envelope }),
      ),
    ]

    for (const failure of failures) {
      expect(failure).toBeInstanceOf(CryptographicFailure)
      expect(failure).toHaveProperty('message', 'the sealed bytes do not open')
      expect(failure).not.toHaveProperty('cause')
    }
  })

  test('CR3: is sealed by the newest DEK, and opens under every one that was kept', () => {
    const rotated = keyring.rotate(random)
    const later = sealEnvelope({ ...place, dek: rotated.newest, plaintext, random })

    expect([envelopeDekId(envelope), envelopeDekId(later)]).toEqual([1, 2])
    expect(openEnvelope({ ...place, keyring: rotated, envelope }).reveal()).toEqual(utf8('s3cr3t'))
    const kept = rotated.drop(1)
    expect(openEnvelope({ ...place, keyring: kept, envelope: later }).reveal()).toEqual(
      utf8('s3cr3t'),
    )
    expect(() => openEnvelope({ ...place, keyring: kept, envelope })).toThrow(CryptographicFailure)
  })

  test('CR4: re-wrapped, opens under the newest DEK alone, its sealed value untouched', () => {
    const rotated = keyring.rotate(random)

    const moved = rewrapEnvelope({ ...place, keyring: rotated, envelope, random })

    expect(envelopeDekId(moved)).toBe(2)
    expect(moved.subarray(70)).toEqual(envelope.subarray(70))
    expect(openEnvelope({ ...place, keyring: rotated.drop(1), envelope: moved }).reveal()).toEqual(
      utf8('s3cr3t'),
    )
    expect(() =>
      rewrapEnvelope({ ...place, path: 'x', keyring: rotated, envelope, random }),
    ).toThrow(CryptographicFailure)
  })

  test('CR8: of the same value twice has neither a nonce nor a ciphertext in common', () => {
    const nonces = new Set<string>()
    for (let count = 0; count < 500; count++) {
      const sealed = sealEnvelope({ ...place, dek: keyring.newest, plaintext, random })
      nonces.add(Buffer.from(sealed.subarray(10, 22)).toString('hex'))
      nonces.add(Buffer.from(sealed.subarray(82)).toString('hex'))
    }
    expect(nonces.size).toBe(1000)
  })

  test('CR12: leaves no data key behind in the bytes it drew', () => {
    const drawn: Uint8Array[] = []
    const watched: Random = {
      bytes: (length) => {
        const bytes = random.bytes(length)
        drawn.push(bytes)
        return bytes
      },
      below: (bound) => random.below(bound),
    }

    sealEnvelope({ ...place, dek: keyring.newest, plaintext, random: watched })
    AeadKey.draw(watched)

    const keys = drawn.filter(({ length }) => length === 32)
    expect(keys).toEqual([new Uint8Array(32), new Uint8Array(32)])
  })

  test('S5: opens by its drawing in docs/formats/envelope.md, with WebCrypto instead of our code', async () => {
    const dataKey = await openWithWebCrypto(
      keyring.newest.key.bytes(),
      envelope.subarray(10, 22),
      aad('conclave/envelope/v1/data-key', envelope.subarray(0, 10)),
      envelope.subarray(22, 70),
    )
    const value = await openWithWebCrypto(
      dataKey,
      envelope.subarray(70, 82),
      aad('conclave/envelope/v1/value', envelope.subarray(0, 6)),
      envelope.subarray(82),
    )

    expect(value).toEqual(utf8('s3cr3t'))
  })
})

const aad = (purpose: string, header: Uint8Array): Uint8Array =>
  Buffer.concat([
    lengthPrefixed(utf8(purpose)),
    lengthPrefixed(header),
    lengthPrefixed(utf8(place.clusterId)),
    lengthPrefixed(utf8(place.path)),
    Uint8Array.of(place.version),
  ])

const lengthPrefixed = (bytes: Uint8Array): Uint8Array => Uint8Array.of(bytes.length, ...bytes)

async function openWithWebCrypto(
  key: Uint8Array,
  iv: Uint8Array,
  bound: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const raw = Uint8Array.from(key)
  const imported = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt'])
  const additionalData = Uint8Array.from(bound)
  const algorithm = { name: 'AES-GCM', iv: Uint8Array.from(iv), additionalData }
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, imported, Uint8Array.from(sealed)))
}
