import type { Caller } from '@conclave/actors'
import { derivedObjectId, parseJoinToken, parseUnlockKey } from '@conclave/crypto'
import { wipe } from '@conclave/kernel'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sendEmpty, sendJson } from './answers.ts'
import { readBody, readBodyWithText } from './bodies.ts'
import { callerOf, type Engine } from './engine.ts'
import { Refusal } from './errors.ts'
import { leaveWarning } from './leave-warning.ts'
import { ownNodeId } from './nodes.ts'
import { isSet } from './query.ts'
import { stateOf, swarmKind, swarmName, swarmOf } from './swarm-gate.ts'
import { refusalIn, type Beginning } from './swarm-node.ts'
import { placeWanted } from './swarm-place.ts'
import { setLock } from './swarm-routes.ts'
import { SwarmSpecInput, swarmSpec } from './swarm-spec.ts'

const Wanted = {
  ListenAddr: z.string().nullish(),
  AdvertiseAddr: z.string().nullish(),
  Availability: z.string().nullish(),
}

const InitRequest = z.object({
  ...Wanted,
  AutoLockManagers: z.boolean().nullish(),
  ForceNewCluster: z.boolean().nullish(),
  Spec: SwarmSpecInput.nullish(),
})
type InitRequest = z.infer<typeof InitRequest>

const JoinRequest = z.object({ ...Wanted, RemoteAddrs: z.array(z.string()).nullish() })

/**
 * How a machine comes into a swarm, leaves it, and is unlocked. A master that was not started by an engine
 * is in its cluster for good: there a swarm is what the cluster looks like to Docker's clients, or not.
 * Source: docker-swarm.md A5, A6.
 */
export const swarmLifeRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { node } = engine

    app.post('/swarm/init', async (request, reply) => {
      const caller = callerOf(engine, request)
      const body = readBody(request, InitRequest)
      const wanted = beginningIn(body)
      if (body.ForceNewCluster === true && (await isInSwarm(request))) {
        await beginAnew()
        return sendJson(reply, await ownNodeId(engine, caller))
      }
      await demandOutside(request)
      const begin = (): Promise<void> => beginSwarm(engine, caller, body)
      if (node === undefined) await begin()
      else await node.init(wanted, begin)
      return sendJson(reply, await ownNodeId(engine, caller))
    })

    app.post('/swarm/join', async (request, reply) => {
      const { body, text } = readBodyWithText(request, 'JoinToken', JoinRequest)
      try {
        const caller = callerOf(engine, request)
        const wanted = beginningIn(body)
        const remotes = body.RemoteAddrs ?? []
        await demandOutside(request)
        checkToken(text)
        if (node === undefined) {
          throw new Refusal(
            501,
            'a master of this cluster cannot join another one: start a machine of its own with conclave engine',
          )
        }
        const begin = (): Promise<void> => joinSwarm(engine, caller)
        await node.join({ ...wanted, remotes, token: text }, begin)
        return sendEmpty(reply)
      } finally {
        wipe(text)
      }
    })

    app.post('/swarm/leave', async (request, reply) => {
      const isForced = isSet(request, 'force')
      if (node === undefined) {
        const swarm = await swarmOf(engine, request)
        if (swarm === undefined) throw notInSwarm()
        // Whoever else is a master: what is left is the swarm, of which all of them are one.
        if (!isForced) throw new Refusal(503, leaveWarning({ reachable: 1, unreachable: 0 }))
        await engine.master.documents.remove(callerOf(engine, request), swarmKind, swarm.id)
        return sendEmpty(reply)
      }
      const { is } = node.state
      if (is === 'inactive') throw notInSwarm()
      if (!isForced && is !== 'worker' && is !== 'error') {
        throw new Refusal(503, leaveWarning(await managersSeen(engine, request)))
      }
      await node.leave()
      return sendEmpty(reply)
    })

    app.post('/swarm/unlock', async (request, reply) => {
      const { text } = readBodyWithText(request, 'UnlockKey', z.object({}))
      try {
        if (node?.state.is === 'inactive') throw notInSwarm()
        if (node?.state.is !== 'locked') throw new Refusal(409, 'swarm is not locked')
        checkUnlockKey(text)
        await node.unlock(text, sourceOf(request))
        return sendEmpty(reply)
      } finally {
        wipe(text)
      }
    })

    /** Of a machine without asking the masters, who may have lost their quorum. */
    async function isInSwarm(request: FastifyRequest): Promise<boolean> {
      return (node?.state ?? (await stateOf(engine, request))).is !== 'inactive'
    }

    /** @throws Refusal where there is no manager to begin with */
    async function beginAnew(): Promise<void> {
      if (node === undefined) {
        throw new Refusal(
          501,
          'a master by itself begins anew when it starts: conclave master begin-anew, and start it again',
        )
      }
      const refusal = refusalIn(node.state)
      if (refusal !== undefined) throw refusal
      await node.beginAnew()
    }

    /** @throws Refusal */
    async function demandOutside(request: FastifyRequest): Promise<void> {
      if ((await stateOf(engine, request)).is !== 'inactive') throw alreadyIn()
    }
  }

function beginningIn(body: {
  readonly [name in keyof typeof Wanted]?: string | null | undefined
}): Beginning {
  const availability = body.Availability || 'active'
  if (availability !== 'active' && availability !== 'pause' && availability !== 'drain') {
    throw new Refusal(400, `invalid Availability: "${availability.slice(0, 64)}"`)
  }
  return { at: placeWanted(body.AdvertiseAddr ?? '', body.ListenAddr ?? ''), availability }
}

async function beginSwarm(engine: Engine, caller: Caller, body: InitRequest): Promise<void> {
  const { documents, lock, authority } = engine.master
  const spec = swarmSpec(body.Spec ?? {})
  const locked = spec.EncryptionConfig.AutoLockManagers || (body.AutoLockManagers ?? false)
  const input = {
    id: derivedObjectId(engine.master.status().clusterId, 'swarm'),
    name: swarmName,
    body: { ...spec, EncryptionConfig: { AutoLockManagers: false } },
  }
  await created(documents.create(caller, swarmKind, input))
  const { validityMs } = await authority.status(caller)
  const wantedMs = Math.round(spec.CAConfig.NodeCertExpiry / 1e6)
  if (validityMs !== wantedMs) await authority.setValidity(caller, wantedMs)
  if (locked) await setLock(lock, caller, true)
}

/** Whoever joins a cluster that no client of Docker's has met before makes it a swarm. */
async function joinSwarm(engine: Engine, caller: Caller): Promise<void> {
  const { documents } = engine.master
  if ((await documents.byName(caller, swarmKind, swarmName)) !== undefined) return
  await beginSwarm(engine, caller, {}).catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error
  })
}

/** Two that begin a swarm at the same time: the master takes the first. */
async function created(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if ((error as { code?: unknown }).code === 'document.exists') throw alreadyIn()
    throw error
  }
}

/** Undefined while that cannot be found out. */
async function managersSeen(
  engine: Engine,
  request: FastifyRequest,
): Promise<{ readonly reachable: number; readonly unreachable: number } | undefined> {
  if (engine.node?.state.is !== 'manager') return undefined
  try {
    const members = await engine.master.members.list(callerOf(engine, request))
    const voters = members.filter(({ role }) => role !== 'learner')
    const reachable = voters.filter(({ isReachable }) => isReachable).length
    return { reachable, unreachable: voters.length - reachable }
  } catch {
    return undefined
  }
}

/** Who calls at a socket of this machine has no address. */
const sourceOf = ({ ip }: { readonly ip?: string | undefined }): string => ip ?? '127.0.0.1'

/** Before anybody is asked with it. @throws Refusal */
function checkToken(text: Parameters<typeof parseJoinToken>[0]): void {
  try {
    wipe(parseJoinToken(text).secret)
  } catch {
    throw new Refusal(500, 'invalid join token')
  }
}

/** @throws Refusal */
function checkUnlockKey(text: Parameters<typeof parseUnlockKey>[0]): void {
  try {
    wipe(parseUnlockKey(text))
  } catch {
    throw new Refusal(400, 'invalid key string')
  }
}

const alreadyIn = (): Refusal =>
  new Refusal(
    503,
    'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
  )

const notInSwarm = (): Refusal => new Refusal(503, 'This node is not part of a swarm')
