import type { Resource } from '@conclave/model'
import { resourcesOf, type Bag } from '../resources.ts'

/** What Mesos' clients compare, to know which API they speak to. */
export const mesosVersion = '1.11.0'

export const timeOf = (timeMs: number): { nanoseconds: number } => ({ nanoseconds: timeMs * 1e6 })

export const timeOrNone = (
  timeMs: number | undefined,
): { readonly nanoseconds: number } | undefined =>
  timeMs === undefined ? undefined : timeOf(timeMs)

export const shownResources = (bag: Bag): readonly Resource[] => resourcesOf(bag, { role: '*' })
