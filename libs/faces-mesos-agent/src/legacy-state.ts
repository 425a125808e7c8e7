import {
  containerIdOf,
  type AgentApi,
  type AgentExecutorView,
  type AgentTaskView,
} from '@conclave/actors'
import {
  CommandInfo,
  ContainerId,
  ContainerInfo,
  isTerminal,
  toJson,
  type JsonObject,
  type Resource,
} from '@conclave/model'
import type { AgentFaceOptions } from './face.ts'
import { shown } from './json.ts'
import { mesosVersion } from './reads.ts'

/** GET `/state` of an agent. Source: mesos.md §9. */
export function legacyState(api: AgentApi, options: AgentFaceOptions): JsonObject {
  const { info, agentId = '', ipAddress } = api.status()
  const port = info.port ?? 5051
  const { executors } = api.view()
  const ids = [...new Set(executors.map(({ frameworkId }) => frameworkId))]
  return {
    version: mesosVersion,
    id: agentId,
    pid: `slave(1)@${ipAddress}:${port}`,
    hostname: info.hostname,
    resources: bag(info.resources),
    attributes: {},
    flags: options.flags,
    frameworks: ids.map((id) =>
      frameworkOf(
        id,
        executors.filter(({ frameworkId }) => frameworkId === id),
        api,
        options,
      ),
    ),
    completed_frameworks: [],
  }
}

function frameworkOf(
  id: string,
  executors: readonly AgentExecutorView[],
  api: AgentApi,
  options: AgentFaceOptions,
): JsonObject {
  const { framework } = executors[0] ?? {}
  return {
    id,
    name: framework?.name ?? id,
    user: framework?.user ?? '',
    failover_timeout: framework?.failover_timeout ?? 0,
    checkpoint: framework?.checkpoint ?? false,
    role: framework?.role ?? '*',
    executors: executors.map((executor) => executorOf(executor, api, options)),
    completed_executors: [],
  }
}

function executorOf(
  { executorId, kind, info, containerId, tasks }: AgentExecutorView,
  api: AgentApi,
  options: AgentFaceOptions,
): JsonObject {
  const live = tasks.filter(({ state }) => !isTerminal(state))
  const write = (wanted: (task: AgentTaskView) => boolean): readonly JsonObject[] =>
    live.filter(wanted).map((task) => taskOf(task, api, options))
  return {
    id: executorId,
    name: info.name ?? '',
    source: info.source ?? executorId,
    container: containerId,
    container_id: toJson(ContainerId, containerIdOf(containerId)),
    directory: `/frameworks/${tasks[0]?.frameworkId ?? ''}/executors/${executorId}/runs/latest`,
    resources: bag(info.resources),
    ...(kind === 'command' ? {} : { type: kind.toUpperCase() }),
    tasks: write(({ isQueued }) => !isQueued),
    queued_tasks: live
      .filter(({ isQueued }) => isQueued)
      .map((task) => queuedTask(task, api, options)),
    completed_tasks: tasks
      .filter(({ state }) => isTerminal(state))
      .map((task) => taskOf(task, api, options)),
  }
}

function taskOf(
  { info, frameworkId, executorId, state, taskId }: AgentTaskView,
  api: AgentApi,
  options: AgentFaceOptions,
): JsonObject {
  const { container, labels } = info
  return {
    id: taskId,
    name: info.name,
    framework_id: frameworkId,
    executor_id: executorId === taskId ? '' : executorId,
    slave_id: api.status().agentId ?? '',
    state,
    resources: bag(info.resources),
    role: '*',
    statuses: [],
    ...(labels === undefined ? {} : { labels: labels.labels }),
    ...(container === undefined
      ? {}
      : { container: shown(api, options)(ContainerInfo, container) }),
  }
}

/** A TaskInfo, with its command: what upstream shows while a task waits. */
function queuedTask(
  { info, executorId, taskId }: AgentTaskView,
  api: AgentApi,
  options: AgentFaceOptions,
): JsonObject {
  const { command, discovery } = info
  return {
    id: taskId,
    name: info.name,
    slave_id: api.status().agentId ?? '',
    resources: bag(info.resources),
    role: '*',
    ...(command === undefined ? {} : { command: shown(api, options)(CommandInfo, command) }),
    ...(executorId === taskId ? {} : { executor_id: executorId }),
    ...(discovery === undefined ? {} : { discovery }),
  }
}

/** Sums of scalars; the four that are always there. */
function bag(resources: readonly Resource[]): JsonObject {
  const sums: Record<string, number> = { cpus: 0, gpus: 0, mem: 0, disk: 0 }
  for (const { name, scalar } of resources) {
    if (scalar !== undefined) sums[name] = (sums[name] ?? 0) + scalar.value
  }
  return sums
}
