import { createHash } from 'node:crypto'
import type { ByteString } from '../byte-string.ts'
import type { Description } from '../description.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import type { Task } from '../wait-set.ts'
import { eachLine } from './lines.ts'

type Algorithm = 'md5' | 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512'

function* digestOf(invocation: Invocation, input: Description, algorithm: Algorithm): Task<string> {
  const hash = createHash(algorithm)
  for (;;) {
    const bytes = yield* invocation.read(input)
    if (bytes.length === 0) return hash.digest('hex')
    hash.update(bytes)
    yield
  }
}

/** `sha256sum` and its sisters. */
export const digest =
  (algorithm: Algorithm): Program =>
  (invocation) => {
    const { flags, operands } = invocation.options('bctwqzTS', {
      binary: 'b',
      check: 'c',
      text: 't',
      warn: 'w',
      quiet: 'q',
      zero: 'z',
      tag: 'T',
      status: 'S',
    })
    if (flags.has('c')) {
      return check(invocation, operands, algorithm, flags.has('q'), flags.has('S'))
    }
    return invocation.eachInput(operands, function* (input, path) {
      const hex = yield* digestOf(invocation, input, algorithm)
      const end = flags.has('z') ? '\0' : '\n'
      const line = flags.has('T')
        ? `${algorithm.toUpperCase()} (${path}) = ${hex}`
        : `${hex} ${flags.has('b') ? '*' : ' '}${path}`
      invocation.put(line + end)
    })
  }

function* check(
  invocation: Invocation,
  operands: readonly ByteString[],
  algorithm: Algorithm,
  isQuiet: boolean,
  isStatusOnly: boolean,
): Task<number> {
  const wanted: { readonly hex: string; readonly path: ByteString }[] = []
  let malformed = 0
  const tagged = new RegExp(`^${algorithm.toUpperCase()} \\((.*)\\) = ([0-9a-fA-F]+)$`)
  const readable = yield* eachLine(invocation, operands, (line) => {
    const [, plainHex, plainPath] = /^([0-9a-fA-F]+) [ *](.+)$/.exec(line) ?? []
    const [, path = plainPath, hex = plainHex] = tagged.exec(line) ?? []
    const length = hexLengths[algorithm]
    if (hex === undefined || path === undefined || hex.length !== length) malformed++
    else wanted.push({ hex: hex.toLowerCase(), path })
  })
  if (readable !== 0) return readable
  if (wanted.length === 0) {
    const name = operands[0] === undefined || operands[0] === '-' ? "'standard input'" : operands[0]
    return yield* invocation.fail(`${name}: no properly formatted checksum lines found`)
  }
  let mismatched = 0
  let unreadable = 0
  for (const { hex, path } of wanted) {
    let verdict: string
    try {
      const input = invocation.openInput(path)
      try {
        const found = yield* digestOf(invocation, input, algorithm)
        verdict = found === hex ? 'OK' : 'FAILED'
        if (found !== hex) mismatched++
      } finally {
        input.release()
      }
    } catch (refusal) {
      yield* invocation.complain(complaint(refusal, path))
      verdict = 'FAILED open or read'
      unreadable++
    }
    if (!isStatusOnly && !(isQuiet && verdict === 'OK')) invocation.put(`${path}: ${verdict}\n`)
  }
  yield* invocation.flush()
  if (!isStatusOnly) yield* warn(invocation, malformed, unreadable, mismatched)
  return mismatched + unreadable > 0 ? 1 : 0
}

function* warn(
  invocation: Invocation,
  malformed: number,
  unreadable: number,
  mismatched: number,
): Task<void> {
  const say = (count: number, one: string, many: string): Task<void> =>
    invocation.complain(`WARNING: ${count} ${count === 1 ? one : many}`)
  if (malformed > 0) {
    yield* say(malformed, 'line is improperly formatted', 'lines are improperly formatted')
  }
  if (unreadable > 0) {
    yield* say(unreadable, 'listed file could not be read', 'listed files could not be read')
  }
  if (mismatched > 0) {
    yield* say(mismatched, 'computed checksum did NOT match', 'computed checksums did NOT match')
  }
}

const hexLengths: Readonly<Record<Algorithm, number>> = {
  md5: 32,
  sha1: 40,
  sha224: 56,
  sha256: 64,
  sha384: 96,
  sha512: 128,
}

/** `cksum` of POSIX: a CRC-32 that also covers the length. */
export const cksum: Program = (invocation) => {
  const { operands } = invocation.options('')
  return invocation.eachInput(operands, function* (input, path) {
    let crc = 0
    let sizeBytes = 0
    const add = (byte: number): void => {
      crc = (crc << 8) ^ (crcTable[((crc >>> 24) ^ byte) & 0xff] ?? 0)
    }
    for (;;) {
      const bytes = yield* invocation.read(input)
      if (bytes.length === 0) break
      for (const byte of bytes) add(byte)
      sizeBytes += bytes.length
      yield
    }
    for (let rest = sizeBytes; rest > 0; rest = Math.floor(rest / 256)) add(rest % 256)
    const name = operands.length === 0 ? '' : ` ${path}`
    invocation.put(`${~crc >>> 0} ${sizeBytes}${name}\n`)
  })
}

const crcTable = Array.from({ length: 256 }, (_, index) => {
  let crc = index << 24
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  return crc
})
