/**
 * Whether a key can be read off `bytes`: as it is, in hex, or in base64 and base64url wherever it
 * begins there. A key is random and cannot be made to look for, as a canary is.
 */
export function holdsKey(bytes: Uint8Array, key: Uint8Array): boolean {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return formsOf(key).some((form) => haystack.includes(form))
}

function formsOf(key: Uint8Array): readonly Buffer[] {
  const hex = Buffer.from(key).toString('hex')
  const inBase64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), key])
      .toString('base64')
      .replace(/=+$/, '')
    // What stands at the edges is made of its neighbours, too.
    return text.slice(before === 0 ? 0 : before + 1, -1)
  })
  const inBase64Url = inBase64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))
  const texts = [hex, hex.toUpperCase(), ...inBase64, ...inBase64Url]
  return [Buffer.from(key), ...texts.map((text) => Buffer.from(text))]
}
