import type { Canary } from './canary.ts'
import { Haystack } from './haystack.ts'
import { candidatesIn, unpack, type Candidate } from './members.ts'
import { needlesOf, type Form } from './needles.ts'

/** Where a value was found. `form` may name what it was packed in: `gzip > base64`. */
export interface Found {
  readonly form: string
  /** Of the first byte; of the outermost packed member, when it was found in one. */
  readonly offset: number
}

const fragmentLength = 8
const depthMax = 4

/**
 * Every place in `bytes` where `canary` can be read off: as it is, in UTF-16, hex, base64, percent
 * encoding, lists of numbers, in fragments of 8 characters or more, as its digest, and all of these
 * in gzip, deflate, zip and zstd members within members.
 */
export function findCanary(bytes: Uint8Array, canary: Canary): Found[] {
  return search(new Haystack(bytes), [canary], 0).map(({ form, offset }) => ({ form, offset }))
}

export interface Hit extends Found {
  readonly canary: Canary
}

/** As {@link findCanary}, for many at once: the views are made and members unpacked only once. */
export function findCanaries(bytes: Uint8Array, canaries: readonly Canary[]): Hit[] {
  return search(new Haystack(bytes), canaries, 0)
}

/** As {@link findCanaries}, without what is packed. */
export function findUnpacked(bytes: Uint8Array, canaries: readonly Canary[]): Hit[] {
  return searchFlat(new Haystack(bytes), canaries)
}

/** What is in the one member that `bytes` begin with. Its hits are placed at `candidate.offset`. */
export function findInMember(
  candidate: Candidate,
  bytes: Buffer,
  canaries: readonly Canary[],
  depth = 1,
): Hit[] {
  const content = unpack(candidate, bytes)
  if (content === undefined) return []
  return search(new Haystack(content), canaries, depth).map((hit) => ({
    ...hit,
    form: `${candidate.kind} > ${hit.form}`,
    offset: candidate.offset,
  }))
}

function search(haystack: Haystack, canaries: readonly Canary[], depth: number): Hit[] {
  const hits = searchFlat(haystack, canaries)
  if (depth === depthMax) return hits
  for (const candidate of candidatesIn(haystack.bytes)) {
    const from = haystack.bytes.subarray(candidate.offset)
    hits.push(...findInMember(candidate, from, canaries, depth + 1))
  }
  return hits
}

function searchFlat(haystack: Haystack, canaries: readonly Canary[]): Hit[] {
  return canaries.flatMap((canary) =>
    [...wholeForms(haystack, canary), ...fragments(haystack.bytes, canary)].map((found) => ({
      ...found,
      canary,
    })),
  )
}

function wholeForms(haystack: Haystack, canary: Canary): Found[] {
  return needlesOf(canary).flatMap(({ form, view, bytes }) => {
    const within = haystack.view(view)
    return occurrences(within.bytes, bytes).map((at) => found(form, within.offsetOf(at)))
  })
}

function occurrences(within: Buffer, needle: Buffer): number[] {
  const places: number[] = []
  for (let at = within.indexOf(needle); at !== -1; at = within.indexOf(needle, at + 1)) {
    places.push(at)
  }
  return places
}

/** Any 8 consecutive characters, each run of them once, but not those of the whole value. */
function fragments(bytes: Buffer, { text }: Canary): Found[] {
  const places: Found[] = []
  const whole = Buffer.from(text)
  const starts = new Map<string, number>()
  for (let from = 0; from + fragmentLength <= text.length; from++) {
    starts.set(text.slice(from, from + fragmentLength), from)
  }
  // One pass over the bytes for all fragments: the first two bytes sort out nearly everything.
  const begins = new Uint8Array(0x10000)
  for (const fragment of starts.keys()) {
    begins[(fragment.charCodeAt(0) << 8) | fragment.charCodeAt(1)] = 1
  }
  let at = 0
  while (at + fragmentLength <= bytes.length) {
    const pair = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    const from =
      begins[pair] === 1 ? starts.get(bytes.toString('latin1', at, at + fragmentLength)) : undefined
    if (from === undefined) {
      at++
      continue
    }
    let end = fragmentLength
    while (from + end < text.length && bytes[at + end] === whole[from + end]) end++
    if (end < text.length) places.push(found('truncated', at))
    at += end
  }
  return places
}

const found = (form: Form, offset: number): Found => ({ form, offset })
