import { NetworkInfo } from './container.ts'
import { ContainerId, Id } from './id.ts'
import { Labels } from './labels.ts'
import {
  boolean,
  bytes,
  double,
  enumeration,
  int,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Resource } from './resource.ts'

const states = [
  'TASK_STAGING',
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_UNREACHABLE',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
] as const
export const TaskState = enumeration(...states)
export type TaskState = (typeof states)[number]

const terminalStates: ReadonlySet<TaskState> = new Set([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
])

/** A task reaches exactly one of these, and stays there (docs/architecture.md, C1). */
export const isTerminal = (state: TaskState): boolean => terminalStates.has(state)

/** `REASON_SLAVE_*` and `SOURCE_SLAVE` of v0 are `AGENT` here. Source: mesos.md §1, §2. */
export const taskReasons = [
  'REASON_COMMAND_EXECUTOR_FAILED',
  'REASON_CONTAINER_LAUNCH_FAILED',
  'REASON_CONTAINER_LIMITATION',
  'REASON_CONTAINER_LIMITATION_DISK',
  'REASON_CONTAINER_LIMITATION_MEMORY',
  'REASON_CONTAINER_PREEMPTED',
  'REASON_CONTAINER_UPDATE_FAILED',
  'REASON_MAX_COMPLETION_TIME_REACHED',
  'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_TERMINATED',
  'REASON_EXECUTOR_UNREGISTERED',
  'REASON_FRAMEWORK_REMOVED',
  'REASON_GC_ERROR',
  'REASON_INVALID_FRAMEWORKID',
  'REASON_INVALID_OFFERS',
  'REASON_IO_SWITCHBOARD_EXITED',
  'REASON_MASTER_DISCONNECTED',
  'REASON_RECONCILIATION',
  'REASON_RESOURCES_UNKNOWN',
  'REASON_AGENT_DISCONNECTED',
  'REASON_AGENT_DRAINING',
  'REASON_AGENT_REMOVED',
  'REASON_AGENT_REMOVED_BY_OPERATOR',
  'REASON_AGENT_REREGISTERED',
  'REASON_AGENT_RESTARTED',
  'REASON_AGENT_UNKNOWN',
  'REASON_TASK_KILLED_DURING_LAUNCH',
  'REASON_TASK_CHECK_STATUS_UPDATED',
  'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED',
  'REASON_TASK_GROUP_INVALID',
  'REASON_TASK_GROUP_UNAUTHORIZED',
  'REASON_TASK_INVALID',
  'REASON_TASK_UNAUTHORIZED',
  'REASON_TASK_UNKNOWN',
] as const
export type TaskReason = (typeof taskReasons)[number]

export const ContainerStatus = message('ContainerStatus', {
  container_id: optional(ContainerId),
  network_infos: repeated(NetworkInfo),
  cgroup_info: optional(message('CgroupInfo', {})),
  executor_pid: optional(uint),
})
export type ContainerStatus = Infer<typeof ContainerStatus>

/** `uuid` is base64 of 16 bytes; a status without one is the master's, and is not acknowledged. */
export const TaskStatus = message('TaskStatus', {
  task_id: required(Id),
  state: required(TaskState),
  message: optional(text),
  source: optional(enumeration('SOURCE_MASTER', 'SOURCE_AGENT', 'SOURCE_EXECUTOR')),
  reason: optional(enumeration(...taskReasons)),
  data: optional(bytes),
  agent_id: optional(Id),
  executor_id: optional(Id),
  timestamp: optional(double),
  uuid: optional(bytes),
  healthy: optional(boolean),
  check_status: optional(
    message('CheckStatusInfo', {
      type: optional(enumeration('UNKNOWN', 'COMMAND', 'HTTP', 'TCP')),
      command: optional(message('CheckStatusInfo.Command', { exit_code: optional(int) })),
      http: optional(message('CheckStatusInfo.Http', { status_code: optional(uint) })),
      tcp: optional(message('CheckStatusInfo.Tcp', { succeeded: optional(boolean) })),
    }),
  ),
  labels: optional(Labels),
  container_status: optional(ContainerStatus),
  unreachable_time: optional(message('TimeInfo', { nanoseconds: required(int) })),
  limitation: optional(message('TaskResourceLimitation', { resources: repeated(Resource) })),
})
export type TaskStatus = Infer<typeof TaskStatus>
