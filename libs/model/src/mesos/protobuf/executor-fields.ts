import type { FieldNumbers } from './field-numbers.ts'

/*
 * The messages of include/mesos/v1/executor/executor.proto.
 */

export const executorFields: FieldNumbers = {
  'executor.Call': {
    executor_id: [1, 'ExecutorID'],
    framework_id: [2, 'FrameworkID'],
    type: [3, 'executor.Call.Type'],
    subscribe: [4, 'executor.Call.Subscribe'],
    update: [5, 'executor.Call.Update'],
    message: [6, 'executor.Call.Message'],
  },
  'executor.Call.Subscribe': {
    unacknowledged_tasks: [1, 'TaskInfo'],
    unacknowledged_updates: [2, 'executor.Call.Update'],
  },
  'executor.Call.Update': {
    status: [1, 'TaskStatus'],
  },
  'executor.Call.Message': {
    data: 2,
  },
  'executor.Event': {
    type: [1, 'executor.Event.Type'],
    subscribed: [2, 'executor.Event.Subscribed'],
    acknowledged: [3, 'executor.Event.Acknowledged'],
    launch: [4, 'executor.Event.Launch'],
    launch_group: [8, 'executor.Event.LaunchGroup'],
    kill: [5, 'executor.Event.Kill'],
    message: [6, 'executor.Event.Message'],
    error: [7, 'executor.Event.Error'],
  },
  'executor.Event.Subscribed': {
    executor_info: [1, 'ExecutorInfo'],
    framework_info: [2, 'FrameworkInfo'],
    agent_info: [3, 'AgentInfo'],
    container_id: [4, 'ContainerID'],
  },
  'executor.Event.Launch': {
    task: [1, 'TaskInfo'],
  },
  'executor.Event.LaunchGroup': {
    task_group: [1, 'TaskGroupInfo'],
  },
  'executor.Event.Kill': {
    task_id: [1, 'TaskID'],
    kill_policy: [2, 'KillPolicy'],
  },
  'executor.Event.Acknowledged': {
    task_id: [1, 'TaskID'],
    uuid: 2,
  },
  'executor.Event.Message': {
    data: 1,
  },
  'executor.Event.Error': {
    message: 1,
  },
}
