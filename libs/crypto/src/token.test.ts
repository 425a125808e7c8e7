import { createHmac, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Redacted, utf8 } from '@conclave/kernel'
import { jwtVerify, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import {
  CryptographicFailure,
  jwks,
  parseTokenKey,
  parseTokenPublicKey,
  signToken,
  verifyToken,
} from './index.ts'

const file = new URL('../vectors/token-key.json', import.meta.url)
const pem = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly privateKeyPem: string
  readonly publicKeyPem: string
}
const key = parseTokenKey(new Redacted(utf8(pem.privateKeyPem)))
const publicKey = parseTokenPublicKey(utf8(pem.publicKeyPem))
const nowMs = 1_700_000_000_000
const claims = { uid: 'bootstrapuser', exp: nowMs / 1000 + 432_000 }
const encode = (text: string): string => Buffer.from(text).toString('base64url')

describe('a login token', () => {
  test('CR10: has the header and the claims of DC/OS, and nothing else', async () => {
    const [header = '', payload = ''] = (await signToken(key, claims)).split('.')

    expect(Buffer.from(header, 'base64url').toString()).toBe('{"alg":"RS256","typ":"JWT"}')
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toEqual(claims)
  })

  test('CR10: says who it is for to whoever holds the public half', async () => {
    const token = await signToken(key, claims)
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const otherPem = utf8(String(other.export({ format: 'pem', type: 'pkcs1' })))
    const otherKey = parseTokenKey(new Redacted(otherPem))

    expect(await verifyToken(token, [publicKey], nowMs)).toEqual(claims)
    expect(await verifyToken(token, [otherKey, publicKey], nowMs)).toEqual(claims)
    await expect(verifyToken(token, [otherKey], nowMs)).rejects.toThrow(CryptographicFailure)
    await expect(verifyToken(token, [], nowMs)).rejects.toThrow(CryptographicFailure)
  })

  test('CR10: ends with the second it names', async () => {
    const token = await signToken(key, claims)

    expect(await verifyToken(token, [key], claims.exp * 1000 - 1)).toEqual(claims)
    await expect(verifyToken(token, [key], claims.exp * 1000)).rejects.toThrow(CryptographicFailure)
  })

  test('CR10: signed with HS256 under the public key as a secret is refused', async () => {
    const signed = `${encode('{"alg":"HS256","typ":"JWT"}')}.${encode(JSON.stringify(claims))}`
    const mac = createHmac('sha256', pem.publicKeyPem).update(signed).digest('base64url')

    await expect(verifyToken(`${signed}.${mac}`, [key], nowMs)).rejects.toThrow(
      CryptographicFailure,
    )
  })

  test.each([
    ['no uid', { exp: claims.exp }],
    ['a uid that is no text', { uid: 7, exp: claims.exp }],
    ['an empty uid', { uid: '', exp: claims.exp }],
    ['no end', { uid: 'bootstrapuser' }],
  ])('CR10: with %s is refused', async (_, payload) => {
    const token = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .sign(key.privateKey)

    await expect(verifyToken(token, [key], nowMs)).rejects.toThrow(CryptographicFailure)
  })

  test('CR2: with any one digit changed is refused', async () => {
    const token = await signToken(key, claims)
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A'
      const changed = token.slice(0, at) + other + token.slice(at + 1)
      await expect(verifyToken(changed, [key], nowMs)).rejects.toThrow(CryptographicFailure)
    }
  })

  test('CR10: is checked by strangers with the published key set', async () => {
    const [published] = jwks([publicKey]).keys
    const token = await signToken(key, claims)

    expect(Object.keys(published ?? {})).toEqual(['kty', 'use', 'alg', 'kid', 'n', 'e'])
    expect(published).toMatchObject({ kty: 'RSA', use: 'sig', alg: 'RS256', e: 'AQAB' })
    expect(published?.kid).toMatch(/^[\da-f]{64}$/)
    const options = { currentDate: new Date(nowMs) }
    const { payload } = await jwtVerify(token, { ...published }, options)
    expect(payload).toEqual(claims)
  })

  test.each([
    ['no PEM', 'hello'],
    ['a key that is too small', rsaPem(1024)],
    ['a key of another kind', ecPem()],
    ['a public key', pem.publicKeyPem],
  ])('CR10: is not signed with %s', (_, text) => {
    expect(() => parseTokenKey(new Redacted(utf8(text)))).toThrow(CryptographicFailure)
  })
})

function rsaPem(modulusLength: number): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength })
  return String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
}

function ecPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
}
