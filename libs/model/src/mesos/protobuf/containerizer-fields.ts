import type { FieldNumbers } from './field-numbers.ts'

/*
 * The messages of include/mesos/slave/containerizer.proto.
 */

export const containerizerFields: FieldNumbers = {
  ContainerConfig: {
    executor_info: [8, 'ExecutorInfo'],
    task_info: [9, 'TaskInfo'],
    command_info: [11, 'CommandInfo'],
    container_info: [12, 'ContainerInfo'],
    resources: [13, 'Resource'],
    container_class: [14, 'ContainerClass'],
    directory: 3,
    user: 4,
  },
  ContainerLaunchInfo: {
    environment: [2, 'Environment'],
    command: [5, 'CommandInfo'],
    working_directory: 6,
    user: 10,
    task_environment: [15, 'Environment'],
  },
}
