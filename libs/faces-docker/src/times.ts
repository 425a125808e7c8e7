import { Refusal } from './errors.ts'
import { printable } from './printable.ts'

/** RFC 3339 in UTC, as Go writes it: without the zeros at the end. Source: docker-swarm.md A3. */
export const rfc3339 = (atMs: number): string =>
  new Date(atMs).toISOString().replace(/\.?0*Z$/, 'Z')

export const zeroTime = '0001-01-01T00:00:00Z'

/** As log lines have it: nine digits always. */
export const rfc3339Nano = (atMs: number): string =>
  new Date(atMs).toISOString().replace('Z', '000000Z')

/** How long ago, as the Engine says it. Source: docker/go-units, `HumanDuration`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(seconds / 3600)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(hours / 24 / 365)} years`
}

/**
 * A moment as clients write it: seconds since 1970 with a fraction, RFC 3339, or a Go duration before now.
 * Undefined for nothing, and for what is none of them.
 */
export function momentMs(text: string | null, nowMs: number): number | undefined {
  if (text === null || text === '' || text === '0' || text.length > momentSizeMax) return undefined
  if (/^-?\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000)
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|m|s|ms)(?![a-z])/g)]
  if (parts.length > 0 && parts.map(([all]) => all).join('') === text) {
    const agoMs = parts.reduce(
      (sum, [, count, unit = '']) => sum + Number(count) * (unitsMs[unit] ?? 0),
      0,
    )
    return nowMs - agoMs
  }
  const parsed = Date.parse(text)
  return Number.isNaN(parsed) ? undefined : parsed
}

/** As {@link momentMs}, but that what is no moment is refused. @throws Refusal */
export function momentIn(text: string | null, nowMs: number): number | undefined {
  const moment = momentMs(text, nowMs)
  if (moment !== undefined || text === null || text === '' || text === '0') return moment
  throw new Refusal(400, `strconv.ParseInt: parsing "${printable(text)}": invalid syntax`)
}

/** Of a moment as a text: what is longer is none. */
const momentSizeMax = 128

const unitsMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }
