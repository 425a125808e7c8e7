import { uuidBytes, type Clock, type Random } from '@conclave/kernel'
import { exitCodeLabel, type TaskReason, type TaskState, type TaskStatus } from '@conclave/model'
import type { AgentTask, TaskEnd } from './agent-task.ts'
import { containerIdOf } from './container-name.ts'
import type { ContainerExit } from './container-runtime.ts'
import { exitMessage, killedBeforeStart } from './wording.ts'

/** What is new of a task. */
export interface TaskNews {
  readonly state: TaskState
  readonly source: 'SOURCE_AGENT' | 'SOURCE_EXECUTOR'
  readonly message?: string
  readonly reason?: TaskReason
}

export interface Teller {
  readonly agentId: string | undefined
  readonly ipAddress: string
  readonly clock: Clock
  readonly random: Random
}

/** Whose status it is. */
export type StatusSubject = Pick<AgentTask, 'taskId' | 'executorId' | 'containerId'> &
  Partial<Pick<AgentTask, 'health' | 'exit'>>

/** A status with a uuid of its own, as a Mesos agent completes it. Source: reference/mesos.md §5.4. */
export function statusOf(
  { taskId, executorId, containerId, health, exit }: StatusSubject,
  { state, source, message, reason }: TaskNews,
  { agentId, ipAddress, clock, random }: Teller,
): TaskStatus {
  const address = { protocol: 'IPv4' as const, ip_address: ipAddress }
  const exitCode = exit === undefined ? [] : [{ key: exitCodeLabel, value: `${exit.exitCode}` }]
  return {
    task_id: { value: taskId },
    state,
    source,
    ...(message === undefined ? {} : { message }),
    ...(reason === undefined ? {} : { reason }),
    ...(agentId === undefined ? {} : { agent_id: { value: agentId } }),
    executor_id: { value: executorId },
    timestamp: clock.nowMs() / 1000,
    uuid: Buffer.from(uuidBytes(random)).toString('base64'),
    ...(health?.isHealthy === undefined ? {} : { healthy: health.isHealthy }),
    ...(exitCode.length === 0 ? {} : { labels: { labels: exitCode } }),
    container_status: {
      container_id: containerIdOf(containerId),
      network_infos: [{ ip_addresses: [address], groups: [], port_mappings: [] }],
    },
  }
}

export const endOfFailedLaunch = (message: string): TaskEnd => ({
  state: 'TASK_FAILED',
  source: 'SOURCE_AGENT',
  message,
  reason: 'REASON_CONTAINER_LAUNCH_FAILED',
})

/** In a group it is the executor that says why, in the words of the agent's answer (mesos.md §11). */
export const endOfRefusedContainer = (message: string): TaskEnd => ({
  state: 'TASK_FAILED',
  source: 'SOURCE_EXECUTOR',
  message,
})

export const endOfKilledLaunch: TaskEnd = {
  state: 'TASK_KILLED',
  source: 'SOURCE_AGENT',
  message: killedBeforeStart,
  reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
}

/** How a task ended whose program ran. */
export function endOf(
  task: AgentTask,
  exit: ContainerExit = { exitCode: 137, signal: 'KILL' },
): TaskEnd {
  const told = { source: 'SOURCE_EXECUTOR', message: exitMessage(exit) } as const
  if (task.isOverdue) {
    return { ...told, state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' }
  }
  if (task.isUnhealthy) return { ...told, state: 'TASK_FAILED' }
  if (task.isKilled) return { ...told, state: 'TASK_KILLED' }
  return { ...told, state: exit.exitCode === 0 ? 'TASK_FINISHED' : 'TASK_FAILED' }
}
