import type { ClusterManifest, EtcdEngine, MasterAddress } from '@conclave/assembly'
import type { RedactedBytes } from '@conclave/kernel'
import type { SimulatedImagesMode } from '@conclave/simulated-images'

/** A master, an agent or a scheduler that this command started: in this process or as one of its own. */
export interface Member {
  /** Of its own process, if it has one. */
  readonly pid?: number
  /** Where it answers, by the name of the face, as URLs. Masters' are on record elsewhere. */
  readonly listeners?: Readonly<Record<string, string>>
  /** Resolves with the reason when it ended and nobody had asked for it. */
  readonly lost: Promise<string>
  /** Ends it in good order. */
  stop(): Promise<void>
  /** Ends it as `kill -9` does: nothing is flushed, closed or said. */
  kill(): Promise<void>
}

/** Several agents of one machine cannot all have the port that one has by itself. */
export const anyPort = { port: 0 } as const

/** Of an agent: where it listens, if it does. */
export const agentListeners = (
  at: { readonly host: string; readonly port: number } | undefined,
): Readonly<Record<string, string>> =>
  at === undefined ? {} : { mesos: `http://${at.host}:${at.port}` }

/** For members that go on for as long as this process does. */
export const neverLost: Promise<string> = new Promise(() => undefined)

export type Kind = 'master' | 'agent' | 'scheduler'

/** How one member is started, again and again. */
export interface MemberPlan {
  readonly id: string
  readonly kind: Kind
  /** Its own directory: what it keeps is there. */
  readonly directory: string
  /** Resolves once it runs; it may still be looking for the others. Gives up when `signal` says so. */
  readonly start: (signal?: AbortSignal) => Promise<Member>
}

/** What all members of one cluster are started with, whether in this process or in others. */
export interface MembersOptions {
  readonly directory: string
  readonly manifest: ClusterManifest
  readonly addresses: readonly MasterAddress[]
  readonly snapshotEntries?: number
  readonly peerWire: RedactedBytes
  readonly engine?: EtcdEngine | undefined
  /** Of every master. */
  readonly faithfulLeaks: boolean
  readonly simulatedImages?: SimulatedImagesMode
  /** Of every agent, by field name. */
  readonly agentSettings?: Readonly<Record<string, unknown>>
}
