import {
  ContainerInfo,
  ContainerStatus,
  DiscoveryInfo,
  ExecutorInfo,
  HealthCheck,
  type JsonObject,
  type TaskStatus,
} from '@conclave/model'
import type { TaskRecord } from '../records.ts'
import { bagOf } from '../resources.ts'
import type { ClusterState } from '../state.ts'
import type { Executor } from '../tasks.ts'
import { resourcesObject } from './resources.ts'
import { present, type Show } from './show.ts'

/** A task in the words of old. Source: mesos.md §9. */
export function taskObject(state: ClusterState, show: Show, record: TaskRecord): JsonObject {
  const { info, role } = record
  return present({
    id: record.taskId,
    name: info.name,
    framework_id: record.frameworkId,
    executor_id: info.executor?.executor_id.value ?? '',
    slave_id: record.agentId,
    state: record.state,
    resources: resourcesObject(bagOf(info.resources)),
    role,
    statuses: record.statuses.map((status) => statusObject(show, status)),
    user: info.command?.user ?? state.frameworkOf(record)?.record.info.user,
    labels: info.labels?.labels.map(({ key, value }) => present({ key, value })),
    discovery: info.discovery && show(DiscoveryInfo, info.discovery),
    container: info.container && show(ContainerInfo, info.container),
    health_check: info.health_check && show(HealthCheck, info.health_check),
  })
}

const statusObject = (show: Show, status: TaskStatus): JsonObject =>
  present({
    state: status.state,
    timestamp: status.timestamp,
    labels: status.labels?.labels.map(({ key, value }) => present({ key, value })),
    container_status: status.container_status && show(ContainerStatus, status.container_status),
    healthy: status.healthy,
  })

/** An executor in the words of old: it has no container there. */
export function executorObject(show: Show, executor: Executor): JsonObject {
  const { info, frameworkId, agentId, role } = executor
  const shown = show(ExecutorInfo, info) as { readonly command?: JsonObject }
  return present({
    executor_id: info.executor_id.value,
    name: info.name ?? '',
    framework_id: frameworkId,
    command: shown.command === undefined ? undefined : commandObject(shown.command),
    resources: resourcesObject(bagOf(info.resources)),
    role,
    labels: info.labels?.labels.map(({ key, value }) => present({ key, value })),
    type: info.type,
    slave_id: agentId,
  })
}

function commandObject(command: JsonObject): JsonObject {
  const uris = (command['uris'] ?? []) as readonly JsonObject[]
  return present({
    shell: command['shell'],
    value: command['value'],
    argv: command['arguments'] ?? [],
    environment: command['environment'],
    uris: uris.map((uri) => ({ value: uri['value'], executable: uri['executable'] ?? false })),
  })
}
