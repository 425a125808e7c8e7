import type { Caller } from '../master-api.ts'

/** What became of a thing in the state. */
export type NewsChange = 'created' | 'updated' | 'removed'

/** Something in the state has changed: what it is, and nothing of what is in it. */
export type StateNews =
  | {
      readonly kind: 'secret'
      readonly change: NewsChange
      readonly id: string
      readonly path: string
    }
  | {
      readonly kind: 'document'
      readonly change: NewsChange
      /** The document's own kind, such as `docker-network`. */
      readonly of: string
      readonly id: string
      readonly name: string
    }
  | {
      readonly kind: 'agent'
      readonly change: NewsChange
      readonly agentId: string
      readonly hostname: string
    }

/** For faces that tell their clients of what changes. On any master, for operators. */
export interface NewsApi {
  /**
   * What changes from now on, all that came since the last look at once. Who reads too slowly misses the
   * oldest of it.
   * @throws AccessDenied
   */
  follow(caller: Caller, signal: AbortSignal): AsyncIterable<readonly StateNews[]>
}
