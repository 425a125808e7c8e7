import type { Caller, MasterApi } from '@conclave/actors'
import type { Principal } from '@conclave/model'
import type { FastifyRequest } from 'fastify'

/** What every part of this face knows: the master behind it, and on whose behalf it asks. */
export interface Engine {
  readonly master: MasterApi
  /** Whoever reaches the socket may do what they may, as it is with dockerd. */
  readonly principal: Principal
  /** What `docker info` calls this machine. */
  readonly hostname: string
}

export const callerOf = ({ principal }: Engine, request: FastifyRequest): Caller => ({
  principal,
  requestId: request.id,
})
