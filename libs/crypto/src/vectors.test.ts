import { readFileSync, writeFileSync } from 'node:fs'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import {
  AeadKey,
  box,
  boxContext,
  createBoxKeyPair,
  CryptographicFailure,
  deriveKek,
  formatUnlockKey,
  hashPassword,
  jwks,
  type Kek,
  Keyring,
  openBox,
  openEnvelope,
  parseTokenKey,
  parseUnlockKey,
  sealEnvelope,
  signToken,
  unwrapKey,
  unwrapKeyring,
  UnlockKeyMalformed,
  verifyPassword,
  verifyToken,
  wrapKey,
  wrapKeyring,
} from './index.ts'

/*
 * vectors/*.json: `accepted` cases are sealed again from their seed and must come out byte for byte,
 * and must open; `refused` cases must not open. All byte strings are hex. UPDATE=1 writes the files
 * anew, to be read line by line afterwards.
 */

interface Vectors<Case> {
  readonly layout: string
  readonly accepted: readonly (Case & { readonly name: string })[]
  readonly refused: readonly (Case & { readonly name: string })[]
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
const secret = (bytes: Uint8Array): RedactedBytes => new Redacted(bytes)

async function checkVectors<Case>(
  file: string,
  build: () => Promise<Vectors<Case>> | Vectors<Case>,
  open: (vector: Case) => Promise<unknown> | void,
): Promise<void> {
  const url = new URL(`../vectors/${file}.json`, import.meta.url)
  const built = await build()
  if (process.env['UPDATE'] === '1') writeFileSync(url, `${JSON.stringify(built, null, 2)}\n`)
  const stored = JSON.parse(readFileSync(url, 'utf8')) as Vectors<Case>
  expect(stored, 'sealing gives the stored bytes').toEqual(built)
  expect(stored.refused.length).toBeGreaterThanOrEqual(stored.accepted.length)
  for (const vector of stored.accepted) await open(vector)
  const opened: string[] = []
  for (const vector of stored.refused) {
    if (!(await isRefused(async () => open(vector)))) opened.push(vector.name)
  }
  expect(opened, 'refused cases that opened').toEqual([])
}

async function isRefused(open: () => Promise<unknown>): Promise<boolean> {
  try {
    await open()
    return false
  } catch (error) {
    if (error instanceof CryptographicFailure || error instanceof UnlockKeyMalformed) return true
    throw error
  }
}

interface WrittenDek {
  readonly id: number
  readonly key: string
}

const ring = (deks: readonly WrittenDek[]): Keyring =>
  new Keyring(deks.map(({ id, key }) => ({ id, key: AeadKey.of(unhex(key)) })))

const dek = (id: number, byte: string): WrittenDek => ({ id, key: byte.repeat(32) })

const kek = (unlockKey: string): Kek => deriveKek(secret(unhex(unlockKey)))

const writtenUnlockKey = (name: string, key: string) => ({
  name,
  key,
  text: utf8Text(formatUnlockKey(secret(unhex(key))).reveal()),
})

function buildUnlockKeys() {
  // The first pair was recorded from a real Swarm: reference/docker-swarm/secretbox-vector.json.
  const real = writtenUnlockKey(
    'recorded from a Swarm',
    '96ebaa83b36887662707cb1ad9ee4e4f095daa3172e22bf2e2f6286c35c248a7',
  )
  const accepted = [
    real,
    writtenUnlockKey('all zero', '00'.repeat(32)),
    writtenUnlockKey('all one', 'ff'.repeat(32)),
    { ...real, name: 'with the newline of a terminal', text: `${real.text}\n` },
  ]
  const refused = [
    { ...real, name: 'another prefix', text: real.text.replace('SWMKEY-1-', 'SWMTKN-1-') },
    { ...real, name: 'another version', text: real.text.replace('-1-', '-2-') },
    { ...real, name: 'one digit short', text: real.text.slice(0, -1) },
    { ...real, name: 'one digit long', text: `${real.text}A` },
    { ...real, name: 'padded', text: `${real.text}=` },
    { ...real, name: 'a digit of the URL alphabet', text: real.text.replace('luu', 'l_u') },
    {
      ...real,
      name: 'a second spelling of the last digit',
      text: `${real.text.slice(0, -1)}d`,
    },
    { ...real, name: 'no text', text: '' },
  ]
  return { layout: 'docs/formats/keyring.md', accepted, refused }
}

const jwtPart = (json: string): string => Buffer.from(json).toString('base64url')

const flipped = (text: string, byte: number): string => {
  const bytes = unhex(text)
  const at = byte < 0 ? bytes.length + byte : byte
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return hex(bytes)
}

describe('vectors', () => {
  test('CR1: envelope.json', async () => {
    interface Envelope {
      readonly seed: number
      readonly deks: readonly WrittenDek[]
      readonly clusterId: string
      readonly path: string
      readonly version: number
      readonly plaintext: string
      readonly envelope: string
    }
    const sealed = (name: string, o: Omit<Envelope, 'envelope'>) => {
      const random = new SeededRandom(o.seed)
      const plaintext = secret(unhex(o.plaintext))
      const envelope = sealEnvelope({ ...o, dek: ring(o.deks).newest, plaintext, random })
      return { name, ...o, envelope: hex(envelope) }
    }
    const build = () => {
      const place = { clusterId: '6f1c2d1e-8a35-4c3f-9d6b-0f4a1d2b3c4d', path: 'dev/db/password' }
      const one = { ...place, version: 1, deks: [dek(1, '11')], plaintext: hex(utf8('s3cr3t')) }
      const accepted = [
        sealed('a text', { seed: 1, ...one }),
        sealed('nothing at all', { seed: 2, ...one, plaintext: '' }),
        sealed('the newest of two DEKs', { seed: 3, ...one, deks: [dek(7, '77'), dek(9, '99')] }),
        sealed('another version', { seed: 4, ...one, version: 300 }),
        sealed('all byte values', {
          seed: 5,
          ...one,
          plaintext: hex(Uint8Array.from({ length: 256 }, (_, byte) => byte)),
        }),
      ]
      const text = sealed('a text', { seed: 1, ...one })
      const refused = [
        { ...text, name: 'another path', path: 'dev/db/passwore' },
        {
          ...text,
          name: 'a path that begins inside the cluster id',
          clusterId: `${one.clusterId}d`,
        },
        { ...text, name: 'another version', version: 2 },
        { ...text, name: 'another DEK under the same id', deks: [dek(1, '12')] },
        { ...text, name: 'a DEK that was dropped', deks: [dek(2, '11')] },
        { ...text, name: 'another magic', envelope: flipped(text.envelope, 0) },
        { ...text, name: 'another algorithm', envelope: flipped(text.envelope, 4) },
        { ...text, name: 'a flag nobody knows', envelope: flipped(text.envelope, 5) },
        { ...text, name: 'another DEK id', envelope: flipped(text.envelope, 9) },
        { ...text, name: 'a flipped bit of the data key', envelope: flipped(text.envelope, 30) },
        { ...text, name: 'a flipped bit of the tag', envelope: flipped(text.envelope, -1) },
        { ...text, name: 'one byte short', envelope: text.envelope.slice(0, -2) },
        { ...text, name: 'one byte long', envelope: `${text.envelope}00` },
        { ...text, name: 'nothing', envelope: '' },
      ]
      return { layout: 'docs/formats/envelope.md', accepted, refused }
    }
    await checkVectors<Envelope>('envelope', build, (v) => {
      const opened = openEnvelope({ ...v, keyring: ring(v.deks), envelope: unhex(v.envelope) })
      expect(hex(opened.reveal())).toBe(v.plaintext)
    })
  })

  test('CR5: keyring.json', async () => {
    interface Wrapped {
      readonly seed: number
      readonly unlockKey: string
      readonly clusterId: string
      readonly deks: readonly WrittenDek[]
      readonly wrapped: string
    }
    const sealed = (name: string, o: Omit<Wrapped, 'wrapped'>) => {
      const random = new SeededRandom(o.seed)
      const wrapped = wrapKeyring({
        kek: kek(o.unlockKey),
        keyring: ring(o.deks),
        clusterId: o.clusterId,
        random,
      })
      return { name, ...o, wrapped: hex(wrapped) }
    }
    const build = () => {
      const base = { unlockKey: '5a'.repeat(32), clusterId: 'cluster-1' }
      const first = { id: 1, key: '11'.repeat(32) }
      const later = { id: 4_000_000_000, key: '44'.repeat(32) }
      const one = sealed('one DEK', { seed: 1, ...base, deks: [first] })
      const accepted = [one, sealed('two DEKs', { seed: 2, ...base, deks: [first, later] })]
      const refused = [
        { ...one, name: 'another unlock key', unlockKey: '5b'.repeat(32) },
        { ...one, name: 'another cluster', clusterId: 'cluster-2' },
        {
          ...one,
          name: 'a key, not a keyring',
          wrapped: `${one.wrapped.slice(0, 10)}02${one.wrapped.slice(12)}`,
        },
        { ...one, name: 'a flipped bit', wrapped: flipped(one.wrapped, 40) },
        { ...one, name: 'one byte short', wrapped: one.wrapped.slice(0, -2) },
        { ...one, name: 'nothing', wrapped: '' },
      ]
      return { layout: 'docs/formats/keyring.md', accepted, refused }
    }
    await checkVectors<Wrapped>('keyring', build, (v) => {
      const opened = unwrapKeyring({
        kek: kek(v.unlockKey),
        clusterId: v.clusterId,
        wrapped: unhex(v.wrapped),
      })
      expect(opened.deks.map(({ id, key }) => ({ id, key: hex(key.bytes()) }))).toEqual(v.deks)
    })
  })

  test('CR5: wrapped-key.json', async () => {
    interface Wrapped {
      readonly seed: number
      readonly unlockKey: string
      readonly clusterId: string
      readonly keyName: string
      readonly key: string
      readonly wrapped: string
    }
    const sealed = (name: string, o: Omit<Wrapped, 'wrapped'>) => {
      const wrapped = wrapKey({
        kek: kek(o.unlockKey),
        key: secret(unhex(o.key)),
        clusterId: o.clusterId,
        name: o.keyName,
        random: new SeededRandom(o.seed),
      })
      return { name, ...o, wrapped: hex(wrapped) }
    }
    const build = () => {
      const base = {
        unlockKey: '5a'.repeat(32),
        clusterId: 'cluster-1',
        keyName: 'journal/1',
        key: '6a'.repeat(32),
      }
      const one = sealed('a journal key', { seed: 1, ...base })
      const other = sealed("another member's", { seed: 2, ...base, keyName: 'journal/2' })
      const refused = [
        { ...one, name: 'another name', keyName: 'journal/2' },
        { ...one, name: 'a name that begins in the cluster id', clusterId: 'cluster-1j' },
        { ...one, name: 'another unlock key', unlockKey: '5b'.repeat(32) },
        {
          ...one,
          name: 'a keyring, not a key',
          wrapped: `${one.wrapped.slice(0, 10)}01${one.wrapped.slice(12)}`,
        },
        { ...one, name: 'a flipped bit', wrapped: flipped(one.wrapped, -20) },
      ]
      return { layout: 'docs/formats/keyring.md', accepted: [one, other], refused }
    }
    await checkVectors<Wrapped>('wrapped-key', build, (v) => {
      const opened = unwrapKey({
        kek: kek(v.unlockKey),
        clusterId: v.clusterId,
        name: v.keyName,
        wrapped: unhex(v.wrapped),
      })
      expect(hex(opened.reveal())).toBe(v.key)
    })
  })

  test('CR6: unlock-key.json', async () => {
    interface UnlockKey {
      readonly key: string
      readonly text: string
    }
    await checkVectors<UnlockKey>('unlock-key', buildUnlockKeys, (v) => {
      expect(hex(parseUnlockKey(secret(utf8(v.text))).reveal())).toBe(v.key)
    })
    const [real] = buildUnlockKeys().accepted
    expect(real?.text).toBe('SWMKEY-1-luuqg7Noh2YnB8sa2e5OTwldqjFy4ivy4vYobDXCSKc')
  })

  test('CR7: box.json', async () => {
    interface Box {
      readonly seed: number
      /** The recipient's key pair is drawn from this seed. */
      readonly recipientSeed: number
      readonly context: string
      readonly plaintext: string
      readonly box: string
    }
    const sealed = (name: string, o: Omit<Box, 'box'>) => {
      const { publicKey } = createBoxKeyPair(new SeededRandom(o.recipientSeed))
      const random = new SeededRandom(o.seed)
      const bytes = box(publicKey, secret(unhex(o.plaintext)), o.context, random)
      return { name, ...o, box: hex(bytes) }
    }
    const build = () => {
      const purpose = { taskId: 't-1', containerId: 'c-1', path: 'dev/db/password', version: 3 }
      const context = boxContext(purpose)
      const base = { recipientSeed: 100, context, plaintext: hex(utf8('s3cr3t')) }
      const one = sealed('a text', { seed: 1, ...base })
      const accepted = [one, sealed('nothing at all', { seed: 2, ...base, plaintext: '' })]
      const point = (bytes: string) => `${one.box.slice(0, 10)}${bytes}${one.box.slice(74)}`
      const refused = [
        { ...one, name: 'another recipient', recipientSeed: 101 },
        { ...one, name: 'another task', context: boxContext({ ...purpose, taskId: 't-2' }) },
        { ...one, name: 'another version', context: boxContext({ ...purpose, version: 4 }) },
        { ...one, name: 'a flipped bit of the ephemeral key', box: flipped(one.box, 36) },
        { ...one, name: 'a flipped bit of the tag', box: flipped(one.box, -1) },
        { ...one, name: 'another algorithm', box: flipped(one.box, 4) },
        { ...one, name: 'a point of order 1', box: point('00'.repeat(32)) },
        { ...one, name: 'a point of order 2', box: point(`01${'00'.repeat(31)}`) },
        {
          ...one,
          name: 'a point of order 8',
          box: point('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
        },
        { ...one, name: 'nothing', box: '' },
      ]
      return { layout: 'docs/formats/box.md', accepted, refused }
    }
    await checkVectors<Box>('box', build, (v) => {
      const keyPair = createBoxKeyPair(new SeededRandom(v.recipientSeed))
      expect(hex(openBox(keyPair, unhex(v.box), v.context).reveal())).toBe(v.plaintext)
    })
  })

  test('CR9: password.json', async () => {
    interface Password {
      readonly seed: number
      readonly password: string
      readonly hash: string
      readonly matches: boolean
    }
    const cost = { logN: 10, r: 8, p: 1 }
    const hashed = async (name: string, seed: number, password: string) => {
      const hash = await hashPassword(secret(unhex(password)), new SeededRandom(seed), cost)
      return { name, seed, password, hash, matches: true }
    }
    const build = async () => {
      const one = await hashed('deleteme', 1, hex(utf8('deleteme')))
      const accepted = [
        one,
        await hashed('no password', 2, ''),
        { ...one, name: 'another password', password: hex(utf8('deletemf')), matches: false },
      ]
      const refused = [
        { ...one, name: 'another scheme', hash: one.hash.replace('scrypt', 'argon2id') },
        { ...one, name: 'a cost of gigabytes', hash: one.hash.replace('ln=10', 'ln=30') },
        { ...one, name: 'a hash cut short', hash: one.hash.slice(0, -1) },
        {
          ...one,
          name: 'a second spelling of the cost',
          hash: one.hash.replace('ln=10', 'ln=010'),
        },
      ]
      return { layout: 'docs/formats/password.md', accepted, refused }
    }
    await checkVectors<Password>('password', build, async (v) => {
      expect(await verifyPassword(secret(unhex(v.password)), v.hash)).toBe(v.matches)
    })
  })

  test('CR10: token.json', async () => {
    interface Token {
      readonly uid: string
      readonly exp: number
      readonly nowMs: number
      readonly token: string
    }
    const keyFile = new URL('../vectors/token-key.json', import.meta.url)
    const { privateKeyPem } = JSON.parse(readFileSync(keyFile, 'utf8')) as { privateKeyPem: string }
    const key = parseTokenKey(secret(utf8(privateKeyPem)))
    const build = async () => {
      const claims = { uid: 'bootstrapuser', exp: 1_700_432_000 }
      const token = await signToken(key, claims)
      const [header = '', payload = '', signature = ''] = token.split('.')
      const nowMs = 1_700_000_000_000
      const one = { name: 'five days', ...claims, nowMs, token }
      const none = jwtPart('{"alg":"none","typ":"JWT"}')
      const accepted = [one, { ...one, name: 'the last second', nowMs: 1_700_431_999_999 }]
      const refused = [
        { ...one, name: 'expired', nowMs: 1_700_432_000_000 },
        { ...one, name: 'alg none', token: `${none}.${payload}.` },
        {
          ...one,
          name: 'alg HS256',
          token: `${jwtPart('{"alg":"HS256","typ":"JWT"}')}.${payload}.${signature}`,
        },
        {
          ...one,
          name: 'another uid',
          token: `${header}.${jwtPart('{"uid":"admin","exp":1700432000}')}.${signature}`,
        },
        { ...one, name: 'no signature', token: `${header}.${payload}.` },
        { ...one, name: 'no token', token: '' },
      ]
      expect(header).toBe(jwtPart('{"alg":"RS256","typ":"JWT"}'))
      expect(payload).toBe(jwtPart('{"uid":"bootstrapuser","exp":1700432000}'))
      return { layout: 'reference: DC/OS login tokens', accepted, refused }
    }
    await checkVectors<Token>('token', build, async (v) => {
      expect(await verifyToken(v.token, [key], v.nowMs)).toEqual({ uid: v.uid, exp: v.exp })
    })
    expect(jwks([key]).keys[0]?.kid).toMatch(/^[\da-f]{64}$/)
  })
})
