import { createHmac } from 'node:crypto'
import type { RedactedBytes } from '@conclave/kernel'
import { equalSecrets } from './fingerprint.ts'

/*
 * Executor tokens as Mesos makes and reads them: JWS compact, HS256, claims that name one container of
 * one executor. Source: reference/mesos.md §18; texts are Mesos' and say nothing of a token's content.
 */

const header = { alg: 'HS256', typ: 'JWT' } as const

/** What a token says of its bearer. Claims that are no text are shown as text, as Mesos does. */
export type ExecutorClaims = Readonly<Record<string, string>>

export type ExecutorTokenVerdict =
  | { readonly outcome: 'valid'; readonly claims: ExecutorClaims }
  /** The end of Mesos' `Invalid JWT: <why>`. */
  | { readonly outcome: 'invalid'; readonly why: string }

/** A token without an end: it is worth something as long as its container runs. */
export function signExecutorToken(key: RedactedBytes, claims: ExecutorClaims): string {
  const sorted = Object.fromEntries(Object.entries(claims).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  const signed = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(sorted))}`
  return `${signed}.${macOf(key, signed).toString('base64url')}`
}

/** Checks in the order of Mesos: parts, header, algorithm, payload and its end, signature. */
export function readExecutorToken(
  key: RedactedBytes,
  token: string,
  nowMs: number,
): ExecutorTokenVerdict {
  const parts = token.split('.')
  const [headerPart = '', payloadPart = '', signaturePart = ''] = parts
  if (parts.length !== 3) return invalid(`Expected 3 components in token, got ${parts.length}`)
  const head = jsonIn(headerPart)
  if ('why' in head) return invalid(`Failed to decode token header: ${head.why}`)
  const fault = headerFault(head.json)
  if (fault !== undefined) return invalid(fault)
  const payload = jsonIn(payloadPart)
  if ('why' in payload) return invalid(`Failed to decode token payload: ${payload.why}`)
  const { exp } = payload.json
  if (exp !== undefined && typeof exp !== 'number') {
    return invalid("JSON payload 'exp' field is not a number")
  }
  const nowSeconds = Math.floor(nowMs / 1000)
  if (exp !== undefined && exp < nowSeconds) {
    return invalid(`Token has expired: exp(${exp}) < now(${nowSeconds})`)
  }
  const signature = bytesIn(signaturePart)
  if (signature === undefined) {
    return invalid(`Failed to base64url-decode token signature: ${notBase64Url}`)
  }
  if (!equalSecrets(macOf(key, `${headerPart}.${payloadPart}`), signature)) {
    return invalid('Token signature does not match')
  }
  return { outcome: 'valid', claims: textsIn(payload.json) }
}

type Json = Readonly<Record<string, unknown>>

const notBase64Url = 'Failed to base64url-decode: Invalid character'

function headerFault(json: Json): string | undefined {
  const { alg, typ, crit } = json
  if (alg === undefined) return "Failed to locate 'alg' in token JSON header"
  if (typeof alg !== 'string') return "Token 'alg' field is not a string"
  if (!['none', 'HS256', 'RS256'].includes(alg)) return `Unsupported token algorithm: ${shown(alg)}`
  if (typ !== undefined && typeof typ !== 'string') return "Token 'typ' is not a string"
  if (crit !== undefined) return "Token 'crit' field is unsupported"
  return alg === 'HS256' ? undefined : `Token 'alg' value "${alg}" does not match, expected "HS256"`
}

/** It is foreign text, on its way into a header of ours. */
const shown = (text: string): string => text.replaceAll(/[^\w.-]/g, '?').slice(0, 32)

function jsonIn(part: string): { readonly json: Json } | { readonly why: string } {
  const bytes = bytesIn(part)
  if (bytes === undefined) return { why: notBase64Url }
  const notJson = { why: 'Failed to parse into JSON: syntax error' }
  try {
    const json: unknown = JSON.parse(bytes.toString('utf8'))
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json)
    return isObject ? { json: json as Json } : notJson
  } catch {
    return notJson
  }
}

/** Padding and spare bits that a signer of ours never wrote make it another token. */
function bytesIn(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}

const textsIn = (json: Json): ExecutorClaims =>
  Object.fromEntries(
    Object.entries(json).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )

const macOf = (key: RedactedBytes, text: string): Buffer =>
  createHmac('sha256', key.reveal()).update(text).digest()

const encode = (text: string): string => Buffer.from(text).toString('base64url')

const invalid = (why: string): ExecutorTokenVerdict => ({ outcome: 'invalid', why })
