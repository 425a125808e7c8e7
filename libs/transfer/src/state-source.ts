import type { Keyring } from '@conclave/crypto'
import type { StateRecord } from '@conclave/store'
import { z } from 'zod'

/** What a state says of itself, whatever carries it. Nothing in it is secret. */
export const StateManifest = z.object({
  clusterId: z.string().min(1).max(255),
  /** All records are as they were then. */
  revision: z.int().positive(),
  takenAtMs: z.int().nonnegative(),
})
export type StateManifest = Readonly<z.infer<typeof StateManifest>>

/** The whole of a state, as one linearizable revision of it. */
export interface StateSource {
  readonly manifest: StateManifest
  /** The DEKs, where the source could open them. */
  readonly keyring: Keyring | undefined
  /** In key order, once. It throws unless all of them came. */
  readonly records: () => AsyncIterable<StateRecord>
}
