import type { RedactedBytes } from '@conclave/kernel'
import { Refusal } from './errors.ts'

/** What a machine is to a swarm. Source: docker-swarm.md A2, A6. */
export type SwarmState =
  | { readonly is: 'inactive' }
  /** It is becoming a member, or looks for the others. */
  | { readonly is: 'pending' }
  /** It was a member, and cannot be one as it is now. */
  | { readonly is: 'error'; readonly why: string }
  /** Autolock keeps it shut until it is told the unlock key. */
  | { readonly is: 'locked' }
  | {
      readonly is: 'worker'
      readonly nodeId: string
      readonly address: string
      /** Where masters take those who join, as `host:port`. */
      readonly managers: readonly { readonly nodeId: string; readonly address: string }[]
    }
  | { readonly is: 'manager' }

/** Where a member shall be reached. Empty: nothing was said. */
export interface PlaceWanted {
  /** An address, or the name of a network interface. */
  readonly host: string
  readonly port: number | undefined
}

export interface Beginning {
  readonly at: PlaceWanted
  readonly availability: 'active' | 'pause' | 'drain'
}

export interface Joining extends Beginning {
  /** The text of a join token. The callee wipes it. */
  readonly token: RedactedBytes
  /** Masters that can be asked, as `host:port`. */
  readonly remotes: readonly string[]
}

/**
 * The port: a machine that can come into a swarm and leave it, as `docker swarm init`, `join` and `leave`
 * want it. One of these is done at a time.
 */
export interface SwarmNode {
  readonly state: SwarmState
  /** Founds a cluster. `begin` is called once its master can be asked, and before this counts as done. */
  init(wanted: Beginning, begin: () => Promise<void>): Promise<void>
  /**
   * Of a manager whose others are lost for good: it goes on as the only one, with all that it has. Resolves once it
   * can be asked.
   */
  beginAnew(): Promise<void>
  /** Becomes a master or an agent, as the token says. `begin`: as with `init`, for a master. */
  join(wanted: Joining, begin: () => Promise<void>): Promise<void>
  /** Ends its membership and forgets all of it. Callers have asked whether that may be. */
  leave(): Promise<void>
  /** The text is wiped. @param source the address it came from @throws UnlockRefused, LoginThrottled */
  unlock(key: RedactedBytes, source: string): Promise<void>
}

export const noSwarm = (): Refusal =>
  new Refusal(
    503,
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  )

export const swarmLocked = (): Refusal =>
  new Refusal(
    503,
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
  )

/** What whoever asks for a swarm is told where there is none to ask, or undefined at a manager. */
export function refusalIn(state: SwarmState): Refusal | undefined {
  switch (state.is) {
    case 'manager':
      return undefined
    case 'locked':
      return swarmLocked()
    case 'worker':
      return new Refusal(
        503,
        "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
      )
    case 'pending':
    case 'error':
      return new Refusal(
        503,
        'This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.',
      )
    case 'inactive':
    default:
      return noSwarm()
  }
}

/** The value of a ping's `Swarm` header. Source: docker-swarm.md A2. */
export const pingState = ({ is }: SwarmState): string =>
  is === 'manager' || is === 'worker' ? `active/${is}` : is
