import { MasterLocked, type MasterStatus } from '@conclave/actors'
import { Redacted } from '@conclave/kernel'
import { takeBodiesAsBytes } from '@conclave/runtime'
import type { FastifyPluginAsync } from 'fastify'
import type { RedactedBytes } from '@conclave/kernel'
import { answerError, refuse } from './errors.ts'

export interface LockedFaceOptions {
  readonly masterId: string
  readonly clusterId: string
  /**
   * Tries a text as the unlock key, and begins to open the master. The text is wiped.
   * @throws UnlockRefused, LoginThrottled
   */
  readonly unlock: (text: RedactedBytes, address: string) => void
  readonly metrics: () => Promise<string>
}

/** A key is 52 characters; what is longer is none. */
const bodyBytesMax = 1024

/**
 * What a master says before it was unlocked: that it is locked, and whether a key opens it. Nobody
 * logs in here: who may what lies behind the lock.
 */
export const lockedConclaveFace =
  ({ masterId, clusterId, unlock, metrics }: LockedFaceOptions): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    app.setErrorHandler(answerError)
    app.setNotFoundHandler((_request, reply) => {
      const { code, message } = new MasterLocked()
      return refuse(reply.header('retry-after', 5), 503, code, message)
    })

    app.get('/health', async () => ({
      masterId,
      state: 'booting-locked',
      role: 'follower',
      term: 0,
      isReady: false,
      leader: null,
    }))
    app.get('/metrics', async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics()),
    )
    app.get('/conclave/v1/masters', async () => lockedStatus(masterId, clusterId))
    app.post('/conclave/v1/lock/unlock', async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      unlock(new Redacted(new Uint8Array(body)), request.ip)
      return reply.send({ masterId, state: 'unlocking' })
    })
  }

const lockedStatus = (masterId: string, clusterId: string): MasterStatus => ({
  masterId,
  clusterId,
  state: 'booting-locked',
  role: 'follower',
  isVoter: false,
  term: 0,
  leader: undefined,
  isReady: false,
  appliedIndex: 0,
  commitIndex: 0,
  revision: 0,
  members: [],
})
