/** One number that was measured, and what it is compared with in the same run. */
export interface Result {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** Who was measured beside us, on this machine, in this run. */
  readonly peer?: string
  readonly peerValue?: number
  /** `value / peerValue`. */
  readonly ratio?: number
  /** What must be known to read it, such as that others used the machine. */
  readonly note?: string
}

export interface Report {
  readonly suite: string
  readonly machine: string
  readonly results: readonly Result[]
}

/** A result beside its peer's. */
export const against = (
  name: string,
  value: number,
  unit: string,
  peer: string,
  peerValue: number,
): Result => ({ name, value, unit, peer, peerValue, ratio: value / peerValue })

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The value below which a share `q` of `values` lies (nearest rank). */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN
  )
}

export function lineOf({ name, value, unit, peer, peerValue, ratio, note }: Result): string {
  const own = `${name.padEnd(66)} ${rounded(value).padStart(8)} ${unit}`
  const beside =
    peer === undefined || peerValue === undefined || ratio === undefined
      ? ''
      : `   ${rounded(ratio)}× ${peer} (${rounded(peerValue)} ${unit})`
  return `${own}${beside}${note === undefined ? '' : `   [${note}]`}`
}

/** Three significant digits, never in powers of ten. */
function rounded(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
