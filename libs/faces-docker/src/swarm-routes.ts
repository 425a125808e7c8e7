import type { Caller, Document, LockApi } from '@conclave/actors'
import { utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import type { FastifyPluginAsync } from 'fastify'
import { sendEmpty, sendJson } from './answers.ts'
import { readBody } from './bodies.ts'
import { callerOf, type Engine } from './engine.ts'
import { desiredTls } from './node-tls.ts'
import { outOfSequence } from './errors.ts'
import { booleanIn, queryOf, versionIn } from './query.ts'
import { demandSwarm, swarmKind } from './swarm-gate.ts'
import { SwarmSpec, SwarmSpecInput, swarmSpec } from './swarm-spec.ts'
import { rfc3339 } from './times.ts'

/** The swarm itself: the cluster's group of masters, as `docker swarm` speaks of it. Source: docker-swarm.md A5. */
export const swarmRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { master } = engine
    const { authority, documents, lock } = master

    app.get('/swarm', async (request, reply) => {
      const caller = callerOf(engine, request)
      const swarm = await demandSwarm(engine, request)
      return sendJson(reply, {
        ...(await swarmObject(engine, caller, swarm)),
        JoinTokens: {
          Worker: await shown(authority.joinToken(caller, 'agent')),
          Manager: await shown(authority.joinToken(caller, 'master')),
        },
      })
    })

    app.post('/swarm/update', async (request, reply) => {
      const caller = callerOf(engine, request)
      const swarm = await demandSwarm(engine, request)
      const query = queryOf(request)
      const wanted = readBody(request, SwarmSpecInput)
      const version = versionIn('swarm', query)
      const rotations = {
        worker: booleanIn(query, 'rotateWorkerToken'),
        manager: booleanIn(query, 'rotateManagerToken'),
        unlockKey: booleanIn(query, 'rotateManagerUnlockKey'),
      }
      const spec = swarmSpec(wanted)
      if (version !== swarm.revision) throw outOfSequence()
      const before = SwarmSpec.parse(swarm.body)
      await documents.update(caller, swarmKind, swarm.id, spec, version)
      if (spec.CAConfig.NodeCertExpiry !== before.CAConfig.NodeCertExpiry) {
        await authority.setValidity(caller, Math.round(spec.CAConfig.NodeCertExpiry / 1e6))
      }
      if ((spec.CAConfig.ForceRotate ?? 0) > (before.CAConfig.ForceRotate ?? 0)) {
        await authority.rotate(caller)
      }
      await setLock(lock, caller, spec.EncryptionConfig.AutoLockManagers)
      if (rotations.worker) wipe(await authority.rotateJoinToken(caller, 'agent'))
      if (rotations.manager) wipe(await authority.rotateJoinToken(caller, 'master'))
      if (rotations.unlockKey && (await lock.status(caller)).isOn) {
        wipe(await lock.rotateUnlockKey(caller))
      }
      return sendEmpty(reply)
    })

    app.get('/swarm/unlockkey', async (request, reply) => {
      await demandSwarm(engine, request)
      const caller = callerOf(engine, request)
      const { isOn } = await lock.status(caller)
      return sendJson(reply, { UnlockKey: isOn ? await shown(lock.unlockKey(caller)) : '' })
    })
  }

/** Autolock as the spec wants it, whoever set it before. */
export async function setLock(lock: LockApi, caller: Caller, isWanted: boolean): Promise<void> {
  const { isOn } = await lock.status(caller)
  if (isWanted && !isOn) wipe(await lock.lock(caller))
  if (!isWanted && isOn) await lock.unlock(caller)
}

/** A swarm as the Engine shows it to everybody: without its tokens. */
export async function swarmObject(
  { master }: Engine,
  caller: Caller,
  swarm: Document,
): Promise<object> {
  const authority = await master.authority.status(caller)
  const { isOn } = await master.lock.status(caller)
  const spec = SwarmSpec.parse(swarm.body)
  return {
    ID: swarm.id,
    Version: { Index: swarm.revision },
    CreatedAt: rfc3339(swarm.createdAtMs),
    UpdatedAt: rfc3339(swarm.updatedAtMs),
    // Autolock can be turned by other faces, too.
    Spec: { ...spec, EncryptionConfig: { AutoLockManagers: isOn } },
    TLSInfo: desiredTls(authority),
    RootRotationInProgress: authority.rotation !== undefined,
    DefaultAddrPool: null,
    SubnetSize: 24,
    DataPathPort: 4789,
  }
}

/** A token or a key as text: this answer is where its bearer is told it. */
async function shown(secret: Promise<RedactedBytes>): Promise<string> {
  const bytes = await secret
  try {
    return utf8Text(bytes.reveal())
  } finally {
    wipe(bytes)
  }
}
