import { agentsPrefix, AgentRecord, TaskRecord, tasksPrefix } from '@conclave/cluster'
import type { Clock } from '@conclave/kernel'
import { addScalars, isTerminal, type EventDraft } from '@conclave/model'
import {
  nodeKey,
  NodeSettings,
  type Availability,
  type Labels,
  type Node,
} from '@conclave/workloads'
import type { Access } from '../access.ts'
import { SpecInvalid } from '../errors.ts'
import type { Caller } from '../master-api.ts'
import { removedKey } from '../authority/authority-records.ts'
import { encodeRecord, Records } from '../record.ts'
import { decideAndCommit, isStill, type Decision, type Replicated } from '../replicated.ts'
import { operatorResource } from '../resources.ts'
import { NodeNotFound, WorkloadConflict } from './errors.ts'
import type { NodeApi, NodeChange, NodeView } from './workload-api.ts'
import type { WorkloadRecords } from './workload-records.ts'

export interface NodeServiceOptions {
  readonly replicated: Replicated
  readonly records: WorkloadRecords
  readonly access: Access
  readonly clock: Clock
  readonly emit: (draft: EventDraft) => void
}

type Scalars = Readonly<Record<string, number>>

/** Agents as places for tasks, with what people say of each. */
export class NodeService implements NodeApi {
  readonly #options: NodeServiceOptions
  readonly #agents: Records<AgentRecord>
  readonly #tasks: Records<TaskRecord>

  constructor(options: NodeServiceOptions) {
    this.#options = options
    const { view } = options.replicated
    this.#agents = new Records(view, AgentRecord)
    this.#tasks = new Records(view, TaskRecord, 65_536)
  }

  async list(caller: Caller): Promise<readonly NodeView[]> {
    await this.#options.replicated.refresh()
    await this.#checkIsOperator(caller, 'nodes')
    return this.#views()
  }

  async get(caller: Caller, nameOrAgentId: string): Promise<NodeView> {
    await this.#options.replicated.refresh()
    await this.#checkIsOperator(caller, nodeKey(nameOrAgentId))
    return this.#find(nameOrAgentId)
  }

  async update(
    caller: Caller,
    nameOrAgentId: string,
    change: NodeChange,
    { expectedVersion }: { readonly expectedVersion?: number | undefined } = {},
  ): Promise<NodeView> {
    const { replicated, records, access, emit } = this.#options
    await replicated.refresh()
    await this.#checkIsOperator(caller, nodeKey(nameOrAgentId))
    const { name } = this.#find(nameOrAgentId)
    const key = nodeKey(name)
    await access.audit(caller, 'administer', key, 'allowed')
    const settings = await decideAndCommit(replicated, (): Decision<NodeSettings> => {
      const known = records.node(name)
      const current = known?.modRevision ?? 0
      if (expectedVersion !== undefined && expectedVersion !== current) {
        return {
          refuse: async () => new WorkloadConflict(`node ${name}`, expectedVersion, current),
        }
      }
      const next = changed(known?.record ?? NodeSettings.parse({ name }), change)
      return {
        commit: {
          compare: [isStill(key, known)],
          success: [{ do: 'put', key, value: encodeRecord(next) }],
        },
        committed: () => next,
      }
    })
    const { uid } = caller.principal
    emit({
      type: 'node.changed',
      name,
      availability: settings.availability,
      role: settings.role,
      uid,
    })
    return this.#find(name)
  }

  /** Agents that take nothing new, whoever asks. */
  closed(): readonly string[] {
    return this.#agents
      .list(agentsPrefix)
      .filter(({ record }) => this.#availabilityOf(record) !== 'active')
      .map(({ record }) => record.agentId)
  }

  /** As the reconciler needs them. */
  nodes(): readonly Node[] {
    const used = this.#used()
    return this.#known().map((agent) => {
      const { tasks, scalars } = used.get(agent.agentId) ?? { tasks: 0, scalars: {} }
      const total = totalOf(agent)
      return {
        ...this.#settingsOf(agent),
        availability: this.#availabilityOf(agent),
        agentId: agent.agentId,
        hostname: agent.info.hostname,
        isConnected: agent.state === 'active',
        isLost: agent.state === 'unreachable',
        attributes: attributesOf(agent),
        platform: platformOf(agent),
        free: mapValues(total, (amount, name) => addScalars(amount, -(scalars[name] ?? 0))),
        tasks,
      }
    })
  }

  /** Without those that were removed, which the leader gives up a moment later. */
  #known(): readonly AgentRecord[] {
    const { view } = this.#options.replicated
    return this.#agents
      .list(agentsPrefix)
      .map(({ record }) => record)
      .filter(({ certificateName: name }) => view.get(removedKey('agent', name)) === undefined)
  }

  /** What tasks are told of the machine that they are on. */
  machine(agentId: string): Pick<Node, 'agentId' | 'hostname' | 'platform'> | undefined {
    const agent = this.#agents.get(`${agentsPrefix}${agentId}`)?.record
    return agent && { agentId, hostname: agent.info.hostname, platform: platformOf(agent) }
  }

  #views(): readonly NodeView[] {
    const { records } = this.#options
    const used = this.#used()
    return this.#known()
      .map((agent): NodeView => {
        const { tasks, scalars } = used.get(agent.agentId) ?? { tasks: 0, scalars: {} }
        return {
          ...this.#settingsOf(agent),
          agentId: agent.agentId,
          hostname: agent.info.hostname,
          state: nodeState(agent.state),
          attributes: attributesOf(agent),
          platform: platformOf(agent),
          resources: mapValues(totalOf(agent), (total, name) => ({
            total,
            used: scalars[name] ?? 0,
          })),
          tasks,
          registeredAtMs: agent.registeredAtMs,
          version: records.node(agent.certificateName)?.modRevision ?? 0,
        }
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  #find(nameOrAgentId: string): NodeView {
    const views = this.#views()
    const node =
      views.find(({ name }) => name === nameOrAgentId) ??
      views.find(({ agentId }) => agentId === nameOrAgentId)
    if (node === undefined) throw new NodeNotFound(nameOrAgentId)
    return node
  }

  /** What people say of the node, or what an operator of Mesos said of its agent, if that is less. */
  #availabilityOf(agent: AgentRecord): Availability {
    const { availability } = this.#settingsOf(agent)
    if (agent.drain !== undefined) return 'drain'
    return agent.isDeactivated === true && availability === 'active' ? 'pause' : availability
  }

  #settingsOf({ certificateName: name }: AgentRecord): NodeSettings {
    return this.#options.records.node(name)?.record ?? NodeSettings.parse({ name })
  }

  #used(): ReadonlyMap<string, { tasks: number; scalars: Record<string, number> }> {
    const used = new Map<string, { tasks: number; scalars: Record<string, number> }>()
    for (const { record } of this.#tasks.list(tasksPrefix)) {
      const { agentId, state, info } = record
      if (isTerminal(state)) continue
      const on = used.get(agentId) ?? { tasks: 0, scalars: {} }
      used.set(agentId, on)
      on.tasks++
      for (const { name, scalar } of info.resources) {
        if (scalar !== undefined) on.scalars[name] = addScalars(on.scalars[name] ?? 0, scalar.value)
      }
    }
    return used
  }

  async #checkIsOperator(caller: Caller, path: string): Promise<void> {
    const { access } = this.#options
    if (access.may(caller, operatorResource, 'full')) return
    throw await access.denied(caller, 'administer', operatorResource, 'full', path)
  }
}

/** @throws SpecInvalid */
function changed(before: NodeSettings, { availability, role, labels }: NodeChange): NodeSettings {
  const parsed = NodeSettings.safeParse({
    ...before,
    ...(availability === undefined ? {} : { availability }),
    ...(role === undefined ? {} : { role }),
    ...(labels === undefined ? {} : { labels }),
  })
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new SpecInvalid((issue?.path ?? []).join('.') || 'the node', issue?.message ?? '')
}

/** In the words that nodes have. */
export const nodeState = (state: AgentRecord['state']): NodeView['state'] =>
  state === 'active' ? 'ready' : state === 'disconnected' ? 'disconnected' : 'down'

function totalOf({ info }: AgentRecord): Scalars {
  const total: Record<string, number> = {}
  for (const { name, scalar } of info.resources) {
    if (scalar !== undefined) total[name] = addScalars(total[name] ?? 0, scalar.value)
  }
  return total
}

function attributesOf({ info }: AgentRecord): Labels {
  return Object.fromEntries(
    info.attributes.map(({ name, text, scalar }) => [
      name,
      text?.value ?? `${scalar?.value ?? ''}`,
    ]),
  )
}

/** Containers are Linux ones, whatever the agent's own system is. */
function platformOf(agent: AgentRecord): Node['platform'] {
  const { os = 'linux', arch = '' } = attributesOf(agent)
  return { os, arch }
}

function mapValues<T>(
  values: Scalars,
  change: (amount: number, name: string) => T,
): Readonly<Record<string, T>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, amount]) => [name, change(amount, name)]),
  )
}
