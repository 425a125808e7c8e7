import type { AnyKind, AnyMessage, Field } from '../mesos/message.ts'

/** Draws a number from 0 up to, and without, `size`. */
export type Draw = (size: number) => number

export interface NearlyOptions {
  /** Texts that mean something where the message is sent: ids that are known there, names of roles. */
  readonly texts: readonly string[]
  /** How many in a hundred fields hold something that does not belong there. */
  readonly wrongPercent: number
}

/**
 * JSON that is nearly a message of this kind, from its own table: most of what it must have is there,
 * some of what it may have, and now and then something that does not belong there.
 */
export function nearly(kind: AnyMessage, draw: Draw, options: NearlyOptions): object {
  return messageLike(kind, draw, options, 0)
}

/** Deeper than any message means something, so a message that contains itself comes to an end. */
const depthMax = 9

function messageLike(kind: AnyMessage, draw: Draw, options: NearlyOptions, depth: number): object {
  const json: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(kind.fields())) {
    const chance = field.label === 'required' ? 96 : depth < depthMax ? 45 - depth * 4 : 0
    if (draw(100) >= chance) continue
    json[name] =
      draw(100) < options.wrongPercent ? wrong(draw) : fieldLike(field, draw, options, depth)
  }
  return json
}

function fieldLike(
  { label, kind }: Field<unknown>,
  draw: Draw,
  options: NearlyOptions,
  depth: number,
): unknown {
  if (label !== 'repeated') return kindLike(kind, draw, options, depth)
  return Array.from({ length: draw(3) }, () => kindLike(kind, draw, options, depth))
}

function kindLike(kind: AnyKind, draw: Draw, options: NearlyOptions, depth: number): unknown {
  const one = <T>(of: readonly T[]): T | undefined => of[draw(of.length)]
  switch (kind.is) {
    case 'message':
      return messageLike(kind, draw, options, depth + 1)
    case 'map':
      return { [one(options.texts) ?? '']: kindLike(kind.of, draw, options, depth + 1) }
    case 'enumeration':
      return one(kind.names)
    case 'text':
      return draw(4) === 0 ? one(oddTexts) : one(options.texts)
    case 'double':
    case 'int':
    case 'uint':
      return one(numbers)
    case 'boolean':
      return one([true, false, 'true'])
    default:
      return one(base64s)
  }
}

const oddTexts = [
  '',
  '.',
  '..',
  'a/b',
  '/a',
  '*',
  '\0',
  'ü\u2028',
  '__proto__',
  'x'.repeat(300),
  '-a',
  ' ',
]
const numbers = [
  0,
  1,
  -1,
  0.1,
  1.5,
  31_000,
  2 ** 31,
  2 ** 53,
  1e308,
  -1e308,
  '2',
  '0.5',
  'Infinity',
  'NaN',
]
const base64s = ['', 'AA==', 'c2VjcmV0', 'AAAAAAAAQACAAAAAAAAAAA==', 'c2VjcmV0', '*']

function wrong(draw: Draw): unknown {
  const all = [
    null,
    true,
    7,
    'nonsense',
    [],
    {},
    [null],
    [[]],
    { value: 1 },
    [{}],
    { a: { b: {} } },
    -0,
  ]
  return all[draw(all.length)]
}

/** Dice that fall the same way for the same seed (mulberry32). */
export function dice(seed: number): Draw {
  let state = seed | 0
  return (size) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % size
  }
}
