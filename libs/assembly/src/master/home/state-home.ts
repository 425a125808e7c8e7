import type { Group } from '@conclave/actors'
import type { EventDraft } from '@conclave/model'
import type { NodeId } from '@conclave/raft'
import type { LiveView } from '@conclave/store'

/** Where a master's state is kept, and how it agrees with the others about it. */
export interface StateHome {
  readonly group: Group
  readonly state: LiveView
  /** How many entries of a log this machine's disk had at the start. */
  readonly recoveredEntries: number
  /** Takes part from now on. */
  start(): void
  /** What came over the link between masters, and what became of that link. */
  receive(from: NodeId, bytes: Uint8Array): void
  unreachable(peer: NodeId): void
  linkLost(peer: NodeId): void
  /** Lets another one lead, of those whose link is up. Resolves once that is so, or after a while. */
  handOver(isUp: (peer: NodeId) => boolean): Promise<void>
  /** Does nothing any more. Resolves once what was under way has ended. */
  stop(): Promise<void>
  /** Lets go of files and connections. */
  close(): Promise<void>
}

/** What a home is told of its master, and tells it. */
export interface HomeOptions {
  /** Distinguishes this run of the master from its earlier ones. */
  readonly boot: string
  readonly emit: (draft: EventDraft) => void
  /** To another master, over the link between them. Bulk goes behind all else, in its order. */
  readonly send: (to: NodeId, bytes: Uint8Array, isBulk: boolean) => void
  /** All that there is to send for now was sent. */
  readonly onSent: () => void
  /** This master cannot go on. */
  readonly onFatal: (why: string, error: unknown) => void
}

export type MakeHome = (options: HomeOptions) => StateHome
