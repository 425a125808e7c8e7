import { CommandInfo } from './command.ts'
import { ContainerInfo } from './container.ts'
import { Id } from './id.ts'
import { Labels } from './labels.ts'
import {
  bytes,
  double,
  enumeration,
  int,
  map,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Resource, Scalar } from './resource.ts'
import { TaskState, TaskStatus } from './task-status.ts'

export const DurationInfo = message('DurationInfo', { nanoseconds: required(int) })

export const KillPolicy = message('KillPolicy', { grace_period: optional(DurationInfo) })
export type KillPolicy = Infer<typeof KillPolicy>

const checkTypes = enumeration('UNKNOWN', 'COMMAND', 'HTTP', 'TCP')
const addressFamilies = enumeration('IPv4', 'IPv6')

export const HealthCheck = message('HealthCheck', {
  type: optional(checkTypes),
  command: optional(CommandInfo),
  http: optional(
    message('HealthCheck.HTTPCheckInfo', {
      protocol: optional(addressFamilies, 'IPv4'),
      scheme: optional(text),
      port: required(uint),
      path: optional(text),
      statuses: repeated(uint),
    }),
  ),
  tcp: optional(
    message('HealthCheck.TCPCheckInfo', {
      protocol: optional(addressFamilies, 'IPv4'),
      port: required(uint),
    }),
  ),
  delay_seconds: optional(double, 15),
  interval_seconds: optional(double, 10),
  timeout_seconds: optional(double, 20),
  consecutive_failures: optional(uint, 3),
  grace_period_seconds: optional(double, 10),
})
export type HealthCheck = Infer<typeof HealthCheck>

export const CheckInfo = message('CheckInfo', {
  type: optional(checkTypes),
  command: optional(message('CheckInfo.Command', { command: required(CommandInfo) })),
  http: optional(message('CheckInfo.Http', { port: required(uint), path: optional(text) })),
  tcp: optional(message('CheckInfo.Tcp', { port: required(uint) })),
  delay_seconds: optional(double, 15),
  interval_seconds: optional(double, 10),
  timeout_seconds: optional(double, 20),
})
export type CheckInfo = Infer<typeof CheckInfo>

const visibilities = enumeration('FRAMEWORK', 'CLUSTER', 'EXTERNAL')

export const DiscoveryInfo = message('DiscoveryInfo', {
  visibility: required(visibilities),
  name: optional(text),
  environment: optional(text),
  location: optional(text),
  version: optional(text),
  ports: optional(
    message('Ports', {
      ports: repeated(
        message('Port', {
          number: required(uint),
          name: optional(text),
          protocol: optional(text),
          visibility: optional(visibilities),
          labels: optional(Labels),
        }),
      ),
    }),
  ),
  labels: optional(Labels),
})

export const ExecutorInfo = message('ExecutorInfo', {
  type: optional(enumeration('UNKNOWN', 'DEFAULT', 'CUSTOM')),
  executor_id: required(Id),
  framework_id: optional(Id),
  command: optional(CommandInfo),
  container: optional(ContainerInfo),
  resources: repeated(Resource),
  name: optional(text),
  source: optional(text),
  data: optional(bytes),
  discovery: optional(DiscoveryInfo),
  shutdown_grace_period: optional(DurationInfo),
  labels: optional(Labels),
})
export type ExecutorInfo = Infer<typeof ExecutorInfo>

const taskFields = {
  name: required(text),
  resources: repeated(Resource),
  executor: optional(ExecutorInfo),
  command: optional(CommandInfo),
  container: optional(ContainerInfo),
  health_check: optional(HealthCheck),
  check: optional(CheckInfo),
  kill_policy: optional(KillPolicy),
  data: optional(bytes),
  labels: optional(Labels),
  discovery: optional(DiscoveryInfo),
  max_completion_time: optional(DurationInfo),
  limits: optional(map(Scalar)),
} as const

export const TaskInfo = message('TaskInfo', {
  ...taskFields,
  task_id: required(Id),
  agent_id: required(Id),
})
export type TaskInfo = Infer<typeof TaskInfo>

/** A TaskInfo that waits for an offer: what `conclave run` takes. */
export const TaskSpec = message('TaskInfo', {
  ...taskFields,
  task_id: optional(Id),
  agent_id: optional(Id),
})
export type TaskSpec = Infer<typeof TaskSpec>

export const TaskGroupInfo = message('TaskGroupInfo', { tasks: repeated(TaskInfo) })
export type TaskGroupInfo = Infer<typeof TaskGroupInfo>

/** What state endpoints show of a task: no command, no environment, no data. */
export const Task = message('Task', {
  name: required(text),
  task_id: required(Id),
  framework_id: required(Id),
  executor_id: optional(Id),
  agent_id: required(Id),
  state: required(TaskState),
  resources: repeated(Resource),
  statuses: repeated(TaskStatus),
  status_update_state: optional(TaskState),
  status_update_uuid: optional(bytes),
  labels: optional(Labels),
  discovery: optional(DiscoveryInfo),
  container: optional(ContainerInfo),
  health_check: optional(HealthCheck),
  kill_policy: optional(KillPolicy),
  user: optional(text),
  limits: optional(map(Scalar)),
})
export type Task = Infer<typeof Task>
