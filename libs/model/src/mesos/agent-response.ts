import { ContainerId, Id } from './id.ts'
import {
  bytes,
  enumeration,
  int,
  listed,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { AgentInfo, FrameworkInfo } from './participants.ts'
import { processAnswers } from './process-response.ts'
import { ExecutorInfo, Task } from './task-info.ts'
import { ContainerStatus } from './task-status.ts'

/*
 * What the agent's operator API answers. Source: mesos.md §7, include/mesos/v1/agent/agent.proto. Arrays that
 * Mesos writes by hand are there even when they are empty.
 */

const GetTasks = message('Response.GetTasks', {
  pending_tasks: listed(Task),
  queued_tasks: listed(Task),
  launched_tasks: listed(Task),
  terminated_tasks: listed(Task),
  completed_tasks: listed(Task),
})
export type AgentTasks = Infer<typeof GetTasks>

const Executor = message('Response.GetExecutors.Executor', {
  executor_info: required(ExecutorInfo),
})
const GetExecutors = message('Response.GetExecutors', {
  executors: listed(Executor),
  completed_executors: listed(Executor),
})
export type AgentExecutors = Infer<typeof GetExecutors>

const Framework = message('Response.GetFrameworks.Framework', {
  framework_info: required(FrameworkInfo),
})
const GetFrameworks = message('Response.GetFrameworks', {
  frameworks: listed(Framework),
  completed_frameworks: listed(Framework),
})
export type AgentFrameworks = Infer<typeof GetFrameworks>

const Container = message('Response.GetContainers.Container', {
  framework_id: optional(Id),
  executor_id: optional(Id),
  executor_name: optional(text),
  container_id: required(ContainerId),
  container_status: optional(ContainerStatus),
})
export type AgentContainer = Infer<typeof Container>

const FileInfo = message('FileInfo', {
  path: required(text),
  nlink: optional(int),
  size: optional(uint),
  mode: optional(uint),
  uid: optional(text),
  gid: optional(text),
})

const wait = { exit_status: optional(int), message: optional(text) }
const none = message('Nothing', {})

export const AgentResponse = message('agent.Response', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'GET_HEALTH',
      'GET_FLAGS',
      'GET_VERSION',
      'GET_METRICS',
      'GET_LOGGING_LEVEL',
      'LIST_FILES',
      'READ_FILE',
      'GET_STATE',
      'GET_CONTAINERS',
      'GET_FRAMEWORKS',
      'GET_EXECUTORS',
      'GET_OPERATIONS',
      'GET_TASKS',
      'GET_AGENT',
      'GET_RESOURCE_PROVIDERS',
      'WAIT_NESTED_CONTAINER',
      'WAIT_CONTAINER',
    ),
  ),
  ...processAnswers,
  list_files: optional(message('Response.ListFiles', { file_infos: listed(FileInfo) })),
  read_file: optional(
    message('Response.ReadFile', { size: required(uint), data: required(bytes) }),
  ),
  get_state: optional(
    message('Response.GetState', {
      get_tasks: optional(GetTasks),
      get_executors: optional(GetExecutors),
      get_frameworks: optional(GetFrameworks),
    }),
  ),
  get_containers: optional(message('Response.GetContainers', { containers: listed(Container) })),
  get_frameworks: optional(GetFrameworks),
  get_executors: optional(GetExecutors),
  /** Neither operations nor resource providers are here, and Mesos answers with nothing in it. */
  get_operations: optional(message('Response.GetOperations', { operations: repeated(none) })),
  get_tasks: optional(GetTasks),
  get_agent: optional(message('Response.GetAgent', { agent_info: optional(AgentInfo) })),
  get_resource_providers: optional(
    message('Response.GetResourceProviders', { resource_providers: repeated(none) }),
  ),
  wait_nested_container: optional(message('Response.WaitNestedContainer', wait)),
  wait_container: optional(message('Response.WaitContainer', wait)),
})
export type AgentResponse = Infer<typeof AgentResponse>
