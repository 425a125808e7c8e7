import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { RedactedBytes } from '@conclave/kernel'
import { jwtVerify, SignJWT } from 'jose'
import { CryptographicFailure } from './cryptographic-failure.ts'

/*
 * Login tokens as DC/OS makes them (reference/dcos.md §1): header {"alg":"RS256","typ":"JWT"}, claims
 * `uid` and `exp`. Making an RSA key is random by nature and belongs to the edge; here it is parsed.
 */

const modulusBitsMin = 2048

/** Who a token speaks for, and the second since 1970 at which it stops. */
export interface TokenClaims {
  readonly uid: string
  readonly exp: number
}

/** Checks tokens. */
export interface TokenPublicKey {
  readonly publicKey: KeyObject
  /** Hex SHA-256 of the key's SubjectPublicKeyInfo. */
  readonly kid: string
}

/** Makes tokens, and checks them. */
export interface TokenKey extends TokenPublicKey {
  readonly privateKey: KeyObject
}

/** One RSA key of a JSON Web Key Set (RFC 7517), fields in the order DC/OS has them. */
export interface TokenJwk {
  readonly kty: 'RSA'
  readonly use: 'sig'
  readonly alg: 'RS256'
  readonly kid: string
  readonly n: string
  readonly e: string
}

/** An RSA private key from PEM (PKCS #8 or PKCS #1). @throws CryptographicFailure */
export function parseTokenKey(pem: RedactedBytes): TokenKey {
  const privateKey = parse(() => createPrivateKey({ key: bufferOf(pem.reveal()), format: 'pem' }))
  return { privateKey, ...described(createPublicKey(privateKey)) }
}

/** An RSA public key from PEM, such as a service account's. @throws CryptographicFailure */
export function parseTokenPublicKey(pem: Uint8Array): TokenPublicKey {
  return described(parse(() => createPublicKey({ key: bufferOf(pem), format: 'pem' })))
}

export async function signToken(key: TokenKey, claims: TokenClaims): Promise<string> {
  const token = new SignJWT({ uid: claims.uid, exp: claims.exp })
  return token.setProtectedHeader({ alg: 'RS256', typ: 'JWT' }).sign(key.privateKey)
}

/**
 * What `token` claims, if one of `keys` signed it and it has not expired at `nowMs`. RS256 only: `none`
 * and HS256 are refused whatever their signature.
 *
 * @throws CryptographicFailure
 */
export async function verifyToken(
  token: string,
  keys: readonly TokenPublicKey[],
  nowMs: number,
): Promise<TokenClaims> {
  for (const { publicKey } of keys) {
    const claims = await verifyUnder(publicKey, token, nowMs)
    if (claims !== undefined) return claims
  }
  throw new CryptographicFailure()
}

/** What `GET /acs/api/v1/auth/jwks` answers. */
export function jwks(keys: readonly TokenPublicKey[]): { readonly keys: readonly TokenJwk[] } {
  return {
    keys: keys.map(({ publicKey, kid }) => {
      const { n = '', e = '' } = publicKey.export({ format: 'jwk' })
      return { kty: 'RSA', use: 'sig', alg: 'RS256', kid, n, e }
    }),
  }
}

async function verifyUnder(
  publicKey: KeyObject,
  token: string,
  nowMs: number,
): Promise<TokenClaims | undefined> {
  if (!isCanonical(token)) return undefined
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: ['RS256'],
      requiredClaims: ['uid', 'exp'],
      currentDate: new Date(nowMs),
    })
    const { uid, exp } = payload
    if (typeof uid !== 'string' || uid === '' || exp === undefined) return undefined
    return { uid, exp }
  } catch {
    return undefined
  }
}

/** Base64 has spare bits in its last digit. A token with other spare bits is not the one we signed. */
function isCanonical(token: string): boolean {
  return token
    .split('.')
    .every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
}

function parse(read: () => KeyObject): KeyObject {
  let key: KeyObject
  try {
    key = read()
  } catch {
    throw new CryptographicFailure()
  }
  const modulusBits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (key.asymmetricKeyType !== 'rsa' || modulusBits < modulusBitsMin) {
    throw new CryptographicFailure()
  }
  return key
}

function described(publicKey: KeyObject): TokenPublicKey {
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  return { publicKey, kid: createHash('sha256').update(spki).digest('hex') }
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
