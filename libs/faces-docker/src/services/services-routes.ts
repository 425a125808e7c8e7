import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { SecretNotFound, type Caller, type NeededSecret, type WorkloadView } from '@conclave/actors'
import { objectIdOf } from '@conclave/crypto'
import type { WorkloadSpecInput } from '@conclave/workloads'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { sendEmpty, sendJson } from '../answers.ts'
import { readBody } from '../bodies.ts'
import { findReferenced, referencesIn } from '../configs/references.ts'
import { volumesOf } from '../configs/volumes.ts'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal, rpc } from '../errors.ts'
import { resolveNetworks } from '../networks/resolve-networks.ts'
import { agentNodeId } from '../nodes.ts'
import { printable } from '../printable.ts'
import { booleanIn, queryOf, versionIn } from '../query.ts'
import { versionOf } from '../request-version.ts'
import { demandSwarm } from '../swarm-gate.ts'
import { SwarmSpec } from '../swarm-spec.ts'
import { speaks } from '../versions.ts'
import { findService, servicesOf } from './find-service.ts'
import { rollbackWarnings } from './former-specs.ts'
import { lostWarnings } from './lost.ts'
import { refuseTakenPorts } from './published-ports.ts'
import { randomServiceName } from './random-name.ts'
import { isServiceWanted, parseServiceFilters } from './service-filters.ts'
import { serviceObject, writtenSpec } from './service-object.ts'
import { checkService } from './service-rules.ts'
import { ServiceSpec, withoutJobs } from './service-spec.ts'
import { storedSpec } from './stored-spec.ts'
import { modeOf, workloadSpecOf } from './translate.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** The services of a swarm: the cluster's workloads that came by this face. Source: docker-swarm.md A5, A6, A8. */
export const servicesRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { master } = engine
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.post('/services/create', async (request, reply) => {
      const caller = callerOf(engine, request)
      const { body } = await demandSwarm(engine, request)
      const sent = await withNetworkIds(caller, readSpec(request))
      const spec = storedSpec(sent, randomServiceName())
      checkService(spec)
      await refuseTakenPorts(engine, caller, spec)
      const id = objectIdOf(randomBytes(17))
      const { workload, secrets } = await translated(caller, spec, id, SwarmSpec.parse(body))
      const creation = master.workloads.create(caller, workload, { id, secrets })
      await created(spec.Name ?? '', unlessLost(caller, spec, creation))
      const warnings = lostWarnings(spec)
      return sendJson(reply, { ID: id, ...(warnings.length > 0 && { Warnings: warnings }) }, 201)
    })

    app.get('/services', async (request, reply) => {
      const caller = callerOf(engine, request)
      const filters = parseServiceFilters(queryOf(request).get('filters'))
      const services = (await servicesOf(engine, caller)).filter((one) =>
        isServiceWanted(one, filters),
      )
      const tasks = booleanIn(queryOf(request), 'status', true)
        ? Map.groupBy(await master.workloads.tasks(caller), ({ workloadId }) => workloadId)
        : undefined
      const shown = services.map((view) =>
        serviceObject(view, {
          tasks: tasks === undefined ? undefined : (tasks.get(view.id) ?? []),
        }),
      )
      return sendJson(reply, shown)
    })

    app.get<Named>('/services/:id', async (request, reply) => {
      const hasDefaults = booleanIn(queryOf(request), 'insertDefaults', true)
      const view = await findService(engine, callerOf(engine, request), request.params.id)
      return sendJson(reply, serviceObject(view, { hasDefaults }))
    })

    app.post<Named>('/services/:id/update', async (request, reply) => {
      const caller = callerOf(engine, request)
      const { body } = await demandSwarm(engine, request)
      const query = queryOf(request)
      const written = readSpec(request)
      const version = versionIn('service', query)
      const sent = await withNetworkIds(caller, written)
      const before = await findService(engine, caller, request.params.id)
      checkAuthFrom(query.get('registryAuthFrom') ?? '', before)
      const isRollback = isRollbackIn(query.get('rollback') ?? '')
      const spec = storedSpec(sent, randomServiceName())
      checkService(spec)
      if (!isDeepStrictEqual(spec.EndpointSpec, writtenSpec(before.spec).EndpointSpec)) {
        await refuseTakenPorts(engine, caller, spec, before.id)
      }
      const { workload, secrets } = await translated(caller, spec, before.id, SwarmSpec.parse(body))
      checkStays(before, spec)
      if (isRollback && before.previousSpec === undefined) throw noPrevious(before.id)
      const expected = { expectedVersion: version }
      if (!isRollback) {
        const wanted = { ...expected, secrets }
        const update = master.workloads.update(caller, before.id, workload, wanted)
        await unlessLost(caller, spec, update)
        return sendJson(reply, { Warnings: orNull(lostWarnings(spec)) })
      }
      await wentBack(before.id, master.workloads.rollback(caller, before.id, expected))
      const former = before.previousSpec === undefined ? {} : writtenSpec(before.previousSpec)
      const warnings = await rollbackWarnings(engine, caller, former)
      return sendJson(reply, { Warnings: orNull(warnings) })
    })

    app.delete<Named>('/services/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const { id } = await findService(engine, caller, request.params.id)
      await master.workloads.remove(caller, id)
      return sendEmpty(reply)
    })

    /** Networks that clients call by their names are kept by their ids. @throws Refusal */
    async function withNetworkIds(caller: Caller, spec: ServiceSpec): Promise<ServiceSpec> {
      const { Networks, TaskTemplate } = spec
      const own = TaskTemplate?.Networks
      return {
        ...spec,
        ...(Networks && { Networks: [...(await resolveNetworks(engine, caller, Networks))] }),
        ...(own && {
          TaskTemplate: {
            ...TaskTemplate,
            Networks: [...(await resolveNetworks(engine, caller, own))],
          },
        }),
      }
    }

    /** A stored spec as a workload, once everything that it refers to is found. */
    async function translated(
      caller: Caller,
      spec: ServiceSpec,
      serviceId: string,
      swarm: SwarmSpec,
    ): Promise<{
      readonly workload: WorkloadSpecInput
      readonly secrets: readonly NeededSecret[]
    }> {
      const container = spec.TaskTemplate?.ContainerSpec ?? {}
      const referenced = await findReferenced(engine, caller, referencesIn(container))
      const { clusterId } = master.status()
      const nodes = await master.nodes.list(caller)
      const workload = workloadSpecOf(spec, {
        serviceId,
        volumes: volumesOf(container, referenced),
        nodeNameOf: (id) =>
          nodes.find(({ agentId }) => agentNodeId(clusterId, agentId) === id)?.name,
        historyLimit: Math.min(100, swarm.Orchestration.TaskHistoryRetentionLimit),
      })
      return { workload, secrets: [...referenced].map(([id, { path }]) => ({ id, path })) }
    }

    /** What was removed since its references were found is told of in the words for what never was there. */
    async function unlessLost<T>(caller: Caller, spec: ServiceSpec, kept: Promise<T>): Promise<T> {
      try {
        return await kept
      } catch (error) {
        if (!(error instanceof SecretNotFound)) throw error
        const container = spec.TaskTemplate?.ContainerSpec ?? {}
        await findReferenced(engine, caller, referencesIn(container))
        throw error
      }
    }
  }

/** In Go, what has nothing in it is null. */
const orNull = (warnings: readonly string[]): readonly string[] | null =>
  warnings.length === 0 ? null : warnings

function isRollbackIn(text: string): boolean {
  if (text === '' || text === 'none') return false
  if (text === 'previous') return true
  throw new Refusal(400, `unrecognized rollback option ${printable(text)}`)
}

/** Credentials of registries are the agents' own here, so it does not matter whose are taken. @throws Refusal */
function checkAuthFrom(text: string, { previousSpec }: WorkloadView): void {
  if (text === '' || text === 'spec') return
  if (text !== 'previous-spec') throw new Refusal(400, 'unsupported registryAuthFrom value')
  if (previousSpec === undefined) {
    throw new Refusal(400, 'service does not have a previous spec')
  }
}

/** @throws Refusal when something differs that SwarmKit does not let change */
function checkStays({ spec }: WorkloadView, after: ServiceSpec): void {
  const before = writtenSpec(spec)
  if (modeOf(before).kind !== modeOf(after).kind) {
    throw rpc('Unimplemented', 'service mode change is not allowed')
  }
  if (before.Name !== after.Name) throw rpc('Unimplemented', 'renaming services is not supported')
}

/** @throws Refusal */
function readSpec(request: FastifyRequest): ServiceSpec {
  const spec = readBody(request, ServiceSpec)
  return speaks(versionOf(request), '1.41') ? spec : withoutJobs(spec)
}

/** @throws Refusal when the name is taken, be it by what another face keeps running */
async function created<T>(name: string, creation: Promise<T>): Promise<T> {
  try {
    return await creation
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'workload.exists') throw error
    const text = `name conflicts with an existing object: service ${name} already exists`
    throw rpc('AlreadyExists', text)
  }
}

async function wentBack<T>(id: string, rollback: Promise<T>): Promise<T> {
  try {
    return await rollback
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'workload.no-previous') throw error
    throw noPrevious(id)
  }
}

const noPrevious = (id: string): Refusal =>
  rpc('FailedPrecondition', `service ${id} does not have a previous spec`)
