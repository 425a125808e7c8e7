import { byteString, bytesOf, type ByteString } from '../byte-string.ts'
import type { Invocation, Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

const values = new Int16Array(256).fill(-1)
for (let value = 0; value < 64; value++) values[alphabet.charCodeAt(value)] = value

/** How much is encoded in one tick. */
const readSizeBytes = 3072

/** Base64 of whole groups of three bytes; only the last one may be shorter. */
export function encodeBase64(bytes: Uint8Array): ByteString {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    text += alphabet.charAt(bits >> 18) + alphabet.charAt((bits >> 12) & 63)
    text += at + 1 < bytes.length ? alphabet.charAt((bits >> 6) & 63) : '='
    text += at + 2 < bytes.length ? alphabet.charAt(bits & 63) : '='
  }
  return text
}

/** The bytes of whole groups of four letters, or nothing when it is no base64. */
export function decodeBase64(text: ByteString): Uint8Array | undefined {
  const letters = text.replace(/={1,2}$/, '')
  if (text.length % 4 !== 0 || letters.length % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((letters.length * 3) / 4))
  let bits = 0
  let have = 0
  let length = 0
  for (let at = 0; at < letters.length; at++) {
    const value = values[letters.charCodeAt(at)] ?? -1
    if (value < 0) return undefined
    bits = ((bits << 6) | value) & 0xffffff
    have += 6
    if (have >= 8) {
      have -= 8
      bytes[length++] = (bits >> have) & 0xff
    }
  }
  return bytes
}

export const base64: Program = (invocation) => {
  const {
    flags,
    values: given,
    operands,
  } = invocation.options('diw:', {
    decode: 'd',
    'ignore-garbage': 'i',
    wrap: 'w',
  })
  const width = given.get('w')?.at(-1) ?? '76'
  if (!/^\d{1,9}$/.test(width)) throw new ScriptFault(`invalid wrap size: '${width}'`, 1)
  const [path = '-', extra] = operands
  if (extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 1)
  return flags.has('d')
    ? decode(invocation, path, flags.has('i'))
    : encode(invocation, path, Number(width))
}

function encode(invocation: Invocation, path: ByteString, width: number): Task<number> {
  let kept = ''
  let column = 0
  const put = (letters: ByteString): void => {
    if (width === 0) return invocation.put(letters)
    for (let at = 0; at < letters.length;) {
      const piece = letters.slice(at, at + width - column)
      invocation.put(piece)
      at += piece.length
      column += piece.length
      if (column === width) {
        invocation.put('\n')
        column = 0
      }
    }
  }
  return invocation.eachInput([path], function* (input) {
    for (;;) {
      const bytes = yield* invocation.read(input, readSizeBytes)
      if (bytes.length === 0) break
      kept += byteString(bytes)
      const whole = kept.length - (kept.length % 3)
      put(encodeBase64(bytesOf(kept.slice(0, whole))))
      kept = kept.slice(whole)
      if (invocation.isFull) yield* drain(invocation)
      yield
    }
    put(encodeBase64(bytesOf(kept)))
    if (column > 0) invocation.put('\n')
  })
}

function* decode(invocation: Invocation, path: ByteString, ignoresGarbage: boolean): Task<number> {
  let kept = ''
  let isInvalid = false
  const take = function* (letters: ByteString): Task<void> {
    const bytes = decodeBase64(letters)
    if (bytes === undefined) {
      // What came before the fault is written, as the real program does.
      for (let at = 0; at + 4 <= letters.length; at += 4) {
        const group = decodeBase64(letters.slice(at, at + 4))
        if (group === undefined) break
        invocation.put(byteString(group))
      }
      isInvalid = true
    } else yield* invocation.write(bytes)
  }
  const status = yield* invocation.eachInput([path], function* (input) {
    for (;;) {
      const bytes = yield* invocation.read(input)
      if (bytes.length === 0) break
      if (isInvalid) return
      const text = byteString(bytes)
      kept += ignoresGarbage ? text.replace(/[^A-Za-z0-9+/=]/g, '') : text.replaceAll('\n', '')
      const whole = kept.length - (kept.length % 4)
      yield* take(kept.slice(0, whole))
      kept = kept.slice(whole)
      yield
    }
    if (kept !== '') yield* take(kept)
  })
  return isInvalid ? yield* invocation.fail('invalid input') : status
}
