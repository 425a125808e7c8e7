import { byteString, type ByteString } from '../byte-string.ts'
import type { Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { classes } from '../regex/byte-set.ts'
import { eachChunk } from './lines.ts'
import { unescape } from './printf.ts'

/** A set as the bytes it lists, in order; `fill` is where `[x*]` may be stretched to any length. */
interface Listed {
  readonly codes: number[]
  readonly fill: { readonly at: number; readonly code: number } | undefined
  /** `lower` or `upper` when the set is that class alone. */
  readonly caseClass: string | undefined
}

function parseSet(source: ByteString): Listed {
  const codes: number[] = []
  let fill: Listed['fill']
  let at = 0
  const one = (): number => {
    if (source[at] !== '\\' || at + 1 === source.length) return source.charCodeAt(at++)
    const [whole = ''] = /^\\(?:[0-7]{1,3}|[^])/.exec(source.slice(at, at + 4)) ?? []
    at += whole.length
    const { text } = unescape(whole, false)
    return text.charCodeAt(text.length - 1)
  }
  while (at < source.length) {
    const rest = source.slice(at)
    const named = /^\[:([a-z]+):\]/.exec(rest)
    if (named !== null) {
      const set = classes.get(named[1] ?? '')
      if (set === undefined) throw new ScriptFault(`invalid character class '${named[1] ?? ''}'`, 1)
      for (let code = 0; code < 256; code++) if (set.has(code)) codes.push(code)
      at += named[0].length
      continue
    }
    const repeated = /^\[(\\[0-7]{1,3}|\\?[^])\*(\d*)\]/.exec(rest)
    if (repeated !== null) {
      at++
      const code = one()
      at = source.indexOf(']', at) + 1
      const digits = repeated[2] ?? ''
      const count = Number.parseInt(digits || '0', digits.startsWith('0') ? 8 : 10)
      if (count === 0) fill = { at: codes.length, code }
      else for (let times = 0; times < Math.min(count, 65_536); times++) codes.push(code)
      continue
    }
    const equal = /^\[=([^])=\]/.exec(rest)
    if (equal !== null) {
      codes.push(rest.charCodeAt(2))
      at += equal[0].length
      continue
    }
    const low = one()
    if (source[at] !== '-' || at + 1 >= source.length) {
      codes.push(low)
      continue
    }
    at++
    const high = one()
    if (high < low) {
      throw new ScriptFault(
        `range-endpoints of '${String.fromCharCode(low)}-${String.fromCharCode(high)}' are in reverse collating sequence order`,
        1,
      )
    }
    for (let code = low; code <= high; code++) codes.push(code)
  }
  const [, caseClass] = /^\[:(lower|upper):\]$/.exec(source) ?? []
  return { codes, fill, caseClass }
}

function complement(codes: readonly number[]): number[] {
  const known = new Set(codes)
  return Array.from({ length: 256 }, (_, code) => code).filter((code) => !known.has(code))
}

/** What each byte becomes. */
function mapping(from: readonly number[], second: Listed, isTruncated: boolean): Uint8Array {
  const to = [...second.codes]
  if (second.fill !== undefined) {
    const { at, code } = second.fill
    const missing = Math.max(0, from.length - to.length)
    to.splice(at, 0, ...Array.from({ length: missing }, () => code))
  }
  const table = Uint8Array.from({ length: 256 }, (_, code) => code)
  const last = to.at(-1)
  if (last === undefined)
    throw new ScriptFault('when not truncating set1, string2 must be non-empty', 1)
  for (const [index, code] of from.entries()) {
    if (index >= to.length && isTruncated) break
    table[code] = to[index] ?? last
  }
  return table
}

/** One for every byte of a set. */
function members(codes: readonly number[]): Uint8Array {
  const table = new Uint8Array(256)
  for (const code of codes) table[code] = 1
  return table
}

export const tr: Program = (invocation) => {
  const { flags, operands } = invocation.options('cCdst', {
    complement: 'c',
    delete: 'd',
    'squeeze-repeats': 's',
    'truncate-set1': 't',
  })
  const deletes = flags.has('d')
  const squeezes = flags.has('s')
  const [first, second, extra] = operands
  const wanted = deletes === squeezes ? 2 : 1
  if (first === undefined) throw new ScriptFault('missing operand', 1)
  if (second === undefined && wanted === 2) {
    const purpose = deletes ? 'deleting and squeezing repeats' : 'translating'
    throw new ScriptFault(
      `missing operand after '${first}'\nTwo strings must be given when ${deletes ? 'both ' : ''}${purpose}.`,
      1,
    )
  }
  const tooMany = extra ?? (deletes && !squeezes ? second : undefined)
  if (tooMany !== undefined) throw new ScriptFault(`extra operand '${tooMany}'`, 1)
  const isComplement = flags.has('c') || flags.has('C')
  const one = parseSet(first)
  const from = isComplement ? complement(one.codes) : one.codes
  const two = second === undefined ? undefined : parseSet(second)
  const translates = !deletes && two !== undefined
  const table = translates ? mapping(from, two, flags.has('t')) : undefined
  const deleted = members(deletes ? from : [])
  const squeezed = members(squeezes ? (two?.codes ?? from) : [])
  let last = -1
  return eachChunk(invocation, [], (bytes) => {
    const out = new Uint8Array(bytes.length)
    let length = 0
    for (const byte of bytes) {
      if (deleted[byte] === 1) continue
      const code = table?.[byte] ?? byte
      if (code === last && squeezed[code] === 1) continue
      last = code
      out[length++] = code
    }
    invocation.put(byteString(out.subarray(0, length)))
  })
}
