import { Id, ContainerId } from './id.ts'
import {
  bytes,
  enumeration,
  message,
  optional,
  parse,
  repeated,
  required,
  text,
  type Infer,
} from './message.ts'
import { AgentInfo, FrameworkInfo } from './participants.ts'
import { isUuid } from './scheduler.ts'
import { ExecutorInfo, KillPolicy, TaskGroupInfo, TaskInfo } from './task-info.ts'
import { TaskStatus } from './task-status.ts'

/*
 * The executor API: what executors say to their agent and hear from it. Source: mesos.md §8.
 */

export const ExecutorCall = message('executor.Call', {
  type: optional(enumeration('UNKNOWN', 'SUBSCRIBE', 'UPDATE', 'MESSAGE', 'HEARTBEAT')),
  framework_id: required(Id),
  executor_id: required(Id),
  subscribe: optional(
    message('Call.Subscribe', {
      unacknowledged_tasks: repeated(TaskInfo),
      unacknowledged_updates: repeated(message('Call.Update', { status: required(TaskStatus) })),
    }),
  ),
  update: optional(message('Call.Update', { status: required(TaskStatus) })),
  message: optional(message('Call.Message', { data: required(bytes) })),
})
export type ExecutorCall = Infer<typeof ExecutorCall>

/** @throws CallMalformed with the `<reason>` of `Failed to convert JSON into Call protobuf: <reason>` */
export const parseExecutorCall = (json: unknown): ExecutorCall => parse(ExecutorCall, json)

const absent = (name: string): string => `Expecting '${name}' to be present`

/** The `<reason>` of `Failed to validate Executor::Call: <reason>`, or undefined. */
export function executorCallProblem(call: ExecutorCall): string | undefined {
  switch (call.type) {
    case undefined:
      return absent('type')
    case 'SUBSCRIBE':
      return call.subscribe === undefined ? absent('subscribe') : undefined
    case 'UPDATE':
      return call.update === undefined ? absent('update') : updateProblem(call, call.update.status)
    case 'MESSAGE':
      return call.message === undefined ? absent('message') : undefined
    case 'HEARTBEAT':
    case 'UNKNOWN':
      break
  }
  return undefined
}

/** In Mesos' order. A source that is not there counts as the master's, so it has to be. */
function updateProblem(call: ExecutorCall, status: TaskStatus): string | undefined {
  const [framework, executor] = [call.framework_id.value, call.executor_id.value]
  if (status.uuid === undefined) return absent('uuid')
  if (!isUuid(status.uuid)) return 'Not a valid UUID'
  if (status.executor_id !== undefined && status.executor_id.value !== executor) {
    return `ExecutorID in Call: ${executor} does not match ExecutorID in TaskStatus: ${status.executor_id.value}`
  }
  const from = `from executor ${executor} of framework ${framework}`
  if (status.source !== 'SOURCE_EXECUTOR') {
    return `Received Call ${from} with invalid source, expecting 'SOURCE_EXECUTOR'`
  }
  return status.state === 'TASK_STAGING'
    ? `Received TASK_STAGING ${from} which is not allowed`
    : undefined
}

export const ExecutorEvent = message('executor.Event', {
  type: required(
    enumeration(
      'SUBSCRIBED',
      'LAUNCH',
      'LAUNCH_GROUP',
      'KILL',
      'ACKNOWLEDGED',
      'MESSAGE',
      'ERROR',
      'SHUTDOWN',
      'HEARTBEAT',
    ),
  ),
  subscribed: optional(
    message('Event.Subscribed', {
      executor_info: required(ExecutorInfo),
      framework_info: required(FrameworkInfo),
      agent_info: required(AgentInfo),
      container_id: optional(ContainerId),
    }),
  ),
  launch: optional(message('Event.Launch', { task: required(TaskInfo) })),
  launch_group: optional(message('Event.LaunchGroup', { task_group: required(TaskGroupInfo) })),
  kill: optional(
    message('Event.Kill', { task_id: required(Id), kill_policy: optional(KillPolicy) }),
  ),
  acknowledged: optional(
    message('Event.Acknowledged', { task_id: required(Id), uuid: required(bytes) }),
  ),
  message: optional(message('Event.Message', { data: required(bytes) })),
  error: optional(message('Event.Error', { message: required(text) })),
})
export type ExecutorEvent = Infer<typeof ExecutorEvent>
