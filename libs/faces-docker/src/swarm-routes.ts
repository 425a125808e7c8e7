import { isIP } from 'node:net'
import type { Caller, Document } from '@conclave/actors'
import { derivedObjectId } from '@conclave/crypto'
import { utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { sendEmpty, sendJson } from './answers.ts'
import { readBody } from './bodies.ts'
import { callerOf, type Engine } from './engine.ts'
import { outOfSequence, Refusal } from './errors.ts'
import { masterNodeId } from './nodes.ts'
import { isSet, queryOf } from './query.ts'
import { demandSwarm, swarmKind, swarmName, swarmOf } from './swarm-gate.ts'
import { SwarmSpec, SwarmSpecInput, swarmSpec } from './swarm-spec.ts'
import { rfc3339 } from './times.ts'
import { tlsInfo } from './tls-info.ts'

const InitRequest = z.object({
  AdvertiseAddr: z.string().nullish(),
  AutoLockManagers: z.boolean().nullish(),
  Spec: SwarmSpecInput.nullish(),
})

/** The swarm itself: the cluster's group of masters, as `docker swarm` speaks of it. Source: docker-swarm.md A5. */
export const swarmRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { master } = engine
    const { authority, documents, lock } = master

    app.post('/swarm/init', async (request, reply) => {
      const caller = callerOf(engine, request)
      const body = readBody(request, InitRequest)
      checkAddress(body.AdvertiseAddr ?? '')
      if ((await swarmOf(engine, request)) !== undefined) throw alreadyIn()
      const spec = swarmSpec(body.Spec ?? {})
      const { clusterId, masterId } = master.status()
      const locked = spec.EncryptionConfig.AutoLockManagers || (body.AutoLockManagers ?? false)
      const input = {
        id: derivedObjectId(clusterId, 'swarm'),
        name: swarmName,
        body: { ...spec, EncryptionConfig: { AutoLockManagers: false } },
      }
      await created(documents.create(caller, swarmKind, input))
      if (locked) await setLock(caller, true)
      return sendJson(reply, masterNodeId(clusterId, masterId))
    })

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
      const spec = swarmSpec(readBody(request, SwarmSpecInput))
      const version = versionIn(queryOf(request).get('version'))
      if (version !== swarm.revision) throw outOfSequence()
      const before = SwarmSpec.parse(swarm.body)
      await documents.update(caller, swarmKind, swarm.id, spec, version)
      if (spec.CAConfig.NodeCertExpiry !== before.CAConfig.NodeCertExpiry) {
        await authority.setValidity(caller, Math.round(spec.CAConfig.NodeCertExpiry / 1e6))
      }
      if ((spec.CAConfig.ForceRotate ?? 0) > (before.CAConfig.ForceRotate ?? 0)) {
        await authority.rotate(caller)
      }
      await setLock(caller, spec.EncryptionConfig.AutoLockManagers)
      if (isSet(request, 'rotateWorkerToken')) {
        wipe(await authority.rotateJoinToken(caller, 'agent'))
      }
      if (isSet(request, 'rotateManagerToken')) {
        wipe(await authority.rotateJoinToken(caller, 'master'))
      }
      if (isSet(request, 'rotateManagerUnlockKey') && (await lock.status(caller)).isOn) {
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

    app.post('/swarm/unlock', async () => {
      throw new Refusal(409, 'swarm is not locked')
    })

    app.post('/swarm/join', async (request) => {
      if ((await swarmOf(engine, request)) !== undefined) throw alreadyIn()
      throw new Refusal(
        501,
        'a master of this cluster cannot join another one: start a new one with conclave master join',
      )
    })

    app.post('/swarm/leave', async (request, reply) => {
      const swarm = await swarmOf(engine, request)
      if (swarm === undefined) throw new Refusal(503, 'This node is not part of a swarm')
      if (!isSet(request, 'force')) throw new Refusal(503, wouldErase)
      await documents.remove(callerOf(engine, request), swarmKind, swarm.id)
      return sendEmpty(reply)
    })

    /** Autolock as the spec wants it, whoever set it before. */
    async function setLock(caller: Caller, isWanted: boolean): Promise<void> {
      const { isOn } = await lock.status(caller)
      if (isWanted && !isOn) wipe(await lock.lock(caller))
      if (!isWanted && isOn) await lock.unlock(caller)
    }
  }

/** A swarm as the Engine shows it to everybody: without its tokens. */
export async function swarmObject(
  { master }: Engine,
  caller: Caller,
  swarm: Document,
): Promise<object> {
  const { rootPem, rotation } = await master.authority.status(caller)
  const { isOn } = await master.lock.status(caller)
  const spec = SwarmSpec.parse(swarm.body)
  return {
    ID: swarm.id,
    Version: { Index: swarm.revision },
    CreatedAt: rfc3339(swarm.createdAtMs),
    UpdatedAt: rfc3339(swarm.updatedAtMs),
    // Autolock can be turned by other faces, too.
    Spec: { ...spec, EncryptionConfig: { AutoLockManagers: isOn } },
    TLSInfo: tlsInfo(rootPem),
    RootRotationInProgress: rotation !== undefined,
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

/** Two that begin a swarm at the same time: the master takes the first. */
async function created(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if ((error as { code?: unknown }).code === 'document.exists') throw alreadyIn()
    throw error
  }
}

const alreadyIn = (): Refusal =>
  new Refusal(
    503,
    'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
  )

// The blank at the end is the original's.
const wouldErase =
  'You are attempting to leave the swarm on a node that is participating as a manager. Removing the last ' +
  'manager erases all current state of the swarm. Use `--force` to ignore this message. '

/** An address that members could be told, as far as it can be seen from its form. @throws Refusal */
function checkAddress(text: string): void {
  if (text === '') return
  const host =
    /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? (isIP(text) === 6 ? text : text.replace(/:\d+$/, ''))
  const isAddress = isIP(host) !== 0 && host !== '0.0.0.0' && host !== '::'
  // A network interface has a name such as eth0; digits and dots alone are a broken address.
  if (isAddress || /^[A-Za-z][\w.-]{0,14}$/.test(host)) return
  throw new Refusal(
    400,
    'advertise address must be a non-zero IP address or network interface (with optional port number)',
  )
}

function versionIn(text: string | null): number {
  if (text !== null && /^\d{1,15}$/.test(text)) return Number(text)
  throw new Refusal(400, `invalid swarm version '${(text ?? '').slice(0, 32)}'`)
}
