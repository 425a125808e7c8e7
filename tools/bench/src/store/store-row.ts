import type { RoundsWanted } from '../rounds.ts'
import type { Result } from '../result.ts'

/** How much is to be measured. */
export interface StoreWish extends RoundsWanted {
  /** Small numbers, to see that everything runs. */
  readonly isBrief: boolean
  /** Added to every sync of our journals, 0 for none. */
  readonly fsyncDelayMs: number
  /** Says at once what a result cannot: a peer that is missing, and why. */
  readonly say: (line: string) => void
}

/** Some numbers of the suite that can be asked for by name. */
export interface StoreRow {
  /** What it measures, for the usage. */
  readonly what: string
  readonly measure: (wish: StoreWish) => Promise<readonly Result[]>
}
