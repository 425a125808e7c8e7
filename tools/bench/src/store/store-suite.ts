import type { Result } from '../result.ts'
import { apiGrowthRows } from './api-growth-rows.ts'
import { apiRows } from './api-rows.ts'
import { failoverRows } from './failover-rows.ts'
import { growthRows } from './growth-rows.ts'
import { layerRows } from './layer-rows.ts'
import { largeStateRows } from './large-state-rows.ts'
import { portRows } from './port-rows.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

/** Rows by the name that `--only` knows them by, in the order in which they are measured. */
export const storeRows: Readonly<Record<string, StoreRow>> = {
  ...portRows,
  ...apiRows,
  ...layerRows,
  ...apiGrowthRows,
  ...failoverRows,
  ...largeStateRows,
  ...growthRows,
}

export interface StoreSuiteOptions {
  readonly isBrief: boolean
  /** All rows unless some are named. */
  readonly only?: readonly string[]
  readonly fsyncDelayMs?: number
  readonly say: (line: string) => void
  /** Told each result as soon as there is one. */
  readonly onResult: (result: Result) => void
}

/**
 * Three processes on this machine, each write sealed and fdatasynced on a quorum, beside etcd and the
 * bare machine.
 */
export async function storeSuite(options: StoreSuiteOptions): Promise<readonly Result[]> {
  const { isBrief, only = Object.keys(storeRows), fsyncDelayMs = 0, say, onResult } = options
  const wish: StoreWish = isBrief
    ? { isBrief, seconds: 0.3, rounds: 1, roundsMax: 1, fsyncDelayMs, say }
    : { isBrief, seconds: 4, rounds: 3, roundsMax: 5, fsyncDelayMs, say }
  const results: Result[] = []
  for (const name of only) {
    for (const result of (await storeRows[name]?.measure(wish)) ?? []) {
      results.push(result)
      onResult(result)
    }
  }
  return results
}
