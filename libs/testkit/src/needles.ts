import { createHash } from 'node:crypto'
import type { Canary } from './canary.ts'
import type { Haystack } from './haystack.ts'

/** How a value was written where it was found. */
export type Form =
  | 'raw'
  | 'utf-16'
  | 'hex'
  | 'base64'
  | 'base64 of base64'
  | 'percent-encoded'
  | 'json-escaped'
  | 'byte array'
  | 'truncated'
  | 'sha256'

/** One sequence of bytes that gives a canary away, and the view in which it stands in one piece. */
export interface Needle {
  readonly form: Exclude<Form, 'truncated'>
  readonly view: Parameters<Haystack['view']>[0]
  readonly bytes: Buffer
}

const known = new WeakMap<Canary, readonly Needle[]>()

/** Every needle of `canary`, but for its fragments. Source: isolators.md §9.2. */
export function needlesOf(canary: Canary): readonly Needle[] {
  const needles = known.get(canary) ?? makeNeedles(canary)
  known.set(canary, needles)
  return needles
}

function makeNeedles({ text }: Canary): readonly Needle[] {
  const bytes = Buffer.from(text)
  const hexPairs = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
  const digest = createHash('sha256').update(bytes).digest()
  const needle = (
    form: Needle['form'],
    view: Needle['view'],
    needleBytes: Buffer | string,
  ): Needle => ({
    form,
    view,
    bytes: Buffer.from(needleBytes),
  })
  return [
    needle('raw', 'raw', bytes),
    // Without the last zero: the same 63 bytes stand in the little- and in the big-endian form.
    needle('utf-16', 'raw', Buffer.from(text, 'utf16le').subarray(0, -1)),
    needle('hex', 'hex', hexPairs.join('')),
    needle('percent-encoded', 'hex', hexPairs.map((pair) => `%${pair}`).join('')),
    needle('json-escaped', 'hex', hexPairs.map((pair) => `\\u00${pair}`).join('')),
    needle('byte array', 'numbers', bytes.join(',')),
    ...base64Forms(bytes).map((piece) => needle('base64', 'joined', piece)),
    ...base64Forms(bytes).flatMap((inner) =>
      base64Forms(Buffer.from(inner)).map((piece) => needle('base64 of base64', 'joined', piece)),
    ),
    needle('sha256', 'raw', digest),
    needle('sha256', 'hex', digest.toString('hex')),
    needle('sha256', 'joined', digest.toString('base64').replace(/=+$/, '')),
    needle('sha256', 'joined', digest.toString('base64url')),
  ]
}

/**
 * The characters of the base64 of anything that holds `bytes`, for each of the three places where a
 * group of three bytes may begin. Characters that a neighbour has a part in are left out.
 */
function base64Forms(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), bytes])
    const from = Math.ceil((before * 8) / 6)
    const to = Math.floor((padded.length * 8) / 6)
    return padded.toString('base64').slice(from, to)
  })
}
