import type { Caller, MasterApi } from '@conclave/actors'
import type { Principal } from '@conclave/model'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import type { FastifyRequest } from 'fastify'
import type { SwarmNode } from './swarm-node.ts'

/** What of a request says who asks. */
export type Asked = Pick<FastifyRequest, 'id' | 'raw'>

/** What every part of this face knows: the master behind it, and on whose behalf it asks. */
export interface Engine {
  readonly master: MasterApi
  /** Whoever reaches the socket may do what they may, as it is with dockerd. */
  readonly principal: Principal
  /** Who asks, where a listener knows better: by a client's certificate. */
  readonly principalOf?: ((request: Asked) => Principal | undefined) | undefined
  /** What `docker info` calls this machine. */
  readonly hostname: string
  /** The machine, where it can come into a swarm and leave it; a master by itself always is one. */
  readonly node?: SwarmNode | undefined
  /** Which names stand for simulated images. Default: any. */
  readonly simulatedImages?: SimulatedImagesMode | undefined
  /** Who can be asked for secrets that have no value here. */
  readonly secretDrivers?:
    | {
        /** Whether this machine has a driver of that name. */
        has(name: string): Promise<boolean>
      }
    | undefined
}

export const simulatedImagesOf = ({ simulatedImages }: Engine): SimulatedImagesMode =>
  simulatedImages ?? 'any'

/** Whether there is a master to ask: a machine that is no manager has none. */
export const hasMaster = ({ node }: Engine): boolean =>
  node === undefined || node.state.is === 'manager'

export const callerOf = ({ principal, principalOf }: Engine, request: Asked): Caller => ({
  principal: principalOf?.(request) ?? principal,
  requestId: request.id,
})
