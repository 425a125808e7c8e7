import { CommandInfo, Environment } from './command.ts'
import { ContainerInfo } from './container.ts'
import { enumeration, message, optional, repeated, required, text, type Infer } from './message.ts'
import { Resource } from './resource.ts'
import { ExecutorInfo, TaskInfo } from './task-info.ts'

/*
 * What Mesos' agent writes down for its containerizer. We do so only to show what that leads to
 * (docs/adr/0038). Source: include/mesos/slave/containerizer.proto, mesos.md §13.
 */

/** `config`, before any isolator is asked: the specs as they came. */
export const ContainerConfig = message('ContainerConfig', {
  executor_info: optional(ExecutorInfo),
  /** Of a command task alone. */
  task_info: optional(TaskInfo),
  command_info: required(CommandInfo),
  container_info: optional(ContainerInfo),
  resources: repeated(Resource),
  container_class: optional(enumeration('DEFAULT', 'DEBUG')),
  directory: required(text),
  user: optional(text),
})
export type ContainerConfig = Infer<typeof ContainerConfig>

/** `launch_info`, before the helper is forked: what all isolators came to, values resolved. */
export const ContainerLaunchInfo = message('ContainerLaunchInfo', {
  environment: optional(Environment),
  command: optional(CommandInfo),
  working_directory: optional(text),
  user: optional(text),
  /** Of a command task: what its executor hands on. */
  task_environment: optional(Environment),
})
export type ContainerLaunchInfo = Infer<typeof ContainerLaunchInfo>
