/**
 * What a variable, an argument or a line holds inside the shell: a string of which every UTF-16 unit
 * is one byte, 0x00 to 0xff. Any bytes survive it unchanged, comparing it compares bytes, and V8
 * stores it in one byte for each. Text of the outside world is its UTF-8 encoding in this form.
 */
export type ByteString = string

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true })
const wide = /[\u0080-\uffff]/

/** The bytes of a byte string, in an array of their own. */
export function bytesOf(text: ByteString): Uint8Array {
  const length = text.length
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

// `fromCharCode` takes its bytes as arguments, and too many of them would overflow the stack.
const slice = 4096

// Spreading would walk an iterator, which takes ten times as long.
const sliceString = (bytes: Uint8Array): ByteString =>
  Reflect.apply(String.fromCharCode, null, bytes) as ByteString

/** The byte string that holds `bytes`. */
export function byteString(bytes: Uint8Array): ByteString {
  if (bytes.length <= slice) return sliceString(bytes)
  let text = ''
  for (let at = 0; at < bytes.length; at += slice) {
    text += sliceString(bytes.subarray(at, at + slice))
  }
  return text
}

/** Ordinary text as a byte string of its UTF-8 encoding. */
export function fromText(text: string): ByteString {
  return wide.test(text) ? byteString(encoder.encode(text)) : text
}

/** The ordinary text a byte string holds, or nothing when its bytes are not UTF-8. */
export function toText(bytes: ByteString): string | undefined {
  if (!wide.test(bytes)) return bytes
  try {
    return strictDecoder.decode(bytesOf(bytes))
  } catch {
    return undefined
  }
}
