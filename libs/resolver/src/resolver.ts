import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { Secret } from '@conclave/model'

/** For whom secrets are resolved: one container, once. */
export interface ResolvingTask {
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
}

/** One secret of a container, and what it is for: `env DB_PASSWORD` or `volume keys/keystore`. */
export interface WantedSecret {
  readonly secret: Secret
  readonly purpose: string
}

export type RefusedOutcome = 'denied' | 'not-found' | 'invalid' | 'unavailable'

/** What became of one wanted secret. A refusal is an answer, and its reason never holds a value. */
export type Resolved =
  | {
      readonly outcome: 'value'
      /** Fresh, for whoever asked to {@link wipe}. */
      readonly bytes: RedactedBytes
      /** What was opened: a path of the store, or `inline`. */
      readonly path: string
      readonly version: number
    }
  | { readonly outcome: RefusedOutcome; readonly why: string }

/**
 * The port: references and values in, bytes or reasoned refusals out. A Mesos `SecretResolver` that is
 * asked for all secrets of a container at once and is told for whom. Source: reference/mesos.md §12.
 */
export interface Resolver {
  /**
   * Calls `answer` once, now or later, with one entry for each of `wanted`, in that order. The
   * function returned abandons the question: nothing is answered after it, and nothing is kept.
   */
  resolve(
    task: ResolvingTask,
    wanted: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void
}

/** Overwrites every value in `resolved`: for answers that come too late, or are only half of what it takes. */
export function wipeResolved(resolved: readonly Resolved[]): void {
  for (const one of resolved) if (one.outcome === 'value') wipe(one.bytes)
}

/** The first refusal of `resolved`, in order, or nothing when every secret has its value. */
export const refusalIn = (
  resolved: readonly Resolved[],
): Extract<Resolved, { why: string }> | undefined =>
  resolved.find((one): one is Extract<Resolved, { why: string }> => one.outcome !== 'value')
