import type { Filters } from '@conclave/model'

const refuseSecondsDefault = 5
const refuseSecondsMax = 31_536_000

/** For how long a framework does not want to be asked again. */
export function refuseTicks(filters: Filters | undefined): number {
  const asked = filters?.refuse_seconds ?? refuseSecondsDefault
  return Math.ceil(asked >= 0 ? Math.min(asked, refuseSecondsMax) : refuseSecondsDefault)
}
