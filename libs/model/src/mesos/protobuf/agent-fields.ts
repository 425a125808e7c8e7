import type { FieldNumbers } from './field-numbers.ts'

/*
 * The messages of include/mesos/v1/agent/agent.proto, as far as they are read and written here.
 */

export const agentFields: FieldNumbers = {
  'agent.Call': {
    type: [1, 'agent.Call.Type'],
    get_metrics: [2, 'agent.Call.GetMetrics'],
    set_logging_level: [3, 'agent.Call.SetLoggingLevel'],
    list_files: [4, 'agent.Call.ListFiles'],
    read_file: [5, 'agent.Call.ReadFile'],
    launch_nested_container: [6, 'agent.Call.LaunchNestedContainer'],
    wait_nested_container: [7, 'agent.Call.WaitNestedContainer'],
    kill_nested_container: [8, 'agent.Call.KillNestedContainer'],
    remove_nested_container: [12, 'agent.Call.RemoveNestedContainer'],
    launch_nested_container_session: [9, 'agent.Call.LaunchNestedContainerSession'],
    attach_container_input: [10, 'agent.Call.AttachContainerInput'],
    attach_container_output: [11, 'agent.Call.AttachContainerOutput'],
    launch_container: [13, 'agent.Call.LaunchContainer'],
    wait_container: [14, 'agent.Call.WaitContainer'],
    kill_container: [15, 'agent.Call.KillContainer'],
    remove_container: [16, 'agent.Call.RemoveContainer'],
  },
  'agent.Call.GetMetrics': {
    timeout: [1, 'DurationInfo'],
  },
  'agent.Call.SetLoggingLevel': {
    level: 1,
    duration: [2, 'DurationInfo'],
  },
  'agent.Call.ListFiles': {
    path: 1,
  },
  'agent.Call.ReadFile': {
    path: 1,
    offset: 2,
    length: 3,
  },
  'agent.Call.LaunchNestedContainer': {
    container_id: [1, 'ContainerID'],
    command: [2, 'CommandInfo'],
    container: [3, 'ContainerInfo'],
  },
  'agent.Call.WaitNestedContainer': {
    container_id: [1, 'ContainerID'],
  },
  'agent.Call.KillNestedContainer': {
    container_id: [1, 'ContainerID'],
    signal: 2,
  },
  'agent.Call.RemoveNestedContainer': {
    container_id: [1, 'ContainerID'],
  },
  'agent.Call.LaunchNestedContainerSession': {
    container_id: [1, 'ContainerID'],
    command: [2, 'CommandInfo'],
    container: [3, 'ContainerInfo'],
  },
  'agent.Call.AttachContainerInput': {
    type: [1, 'agent.Call.AttachContainerInput.Type'],
    container_id: [2, 'ContainerID'],
    process_io: [3, 'agent.ProcessIO'],
  },
  'agent.Call.AttachContainerOutput': {
    container_id: [1, 'ContainerID'],
  },
  'agent.Call.LaunchContainer': {
    container_id: [1, 'ContainerID'],
    command: [2, 'CommandInfo'],
    resources: [3, 'Resource'],
    container: [4, 'ContainerInfo'],
    limits: [5, 'Value.Scalar'],
  },
  'agent.Call.WaitContainer': {
    container_id: [1, 'ContainerID'],
  },
  'agent.Call.KillContainer': {
    container_id: [1, 'ContainerID'],
    signal: 2,
  },
  'agent.Call.RemoveContainer': {
    container_id: [1, 'ContainerID'],
  },
  'agent.ProcessIO': {
    type: [1, 'agent.ProcessIO.Type'],
    data: [2, 'agent.ProcessIO.Data'],
    control: [3, 'agent.ProcessIO.Control'],
  },
  'agent.ProcessIO.Data': {
    type: [1, 'agent.ProcessIO.Data.Type'],
    data: 2,
  },
  'agent.ProcessIO.Control': {
    type: [1, 'agent.ProcessIO.Control.Type'],
    tty_info: [2, 'TTYInfo'],
    heartbeat: [3, 'agent.ProcessIO.Control.Heartbeat'],
  },
  'agent.ProcessIO.Control.Heartbeat': {
    interval: [1, 'DurationInfo'],
  },
  'agent.Response': {
    type: [1, 'agent.Response.Type'],
    get_health: [2, 'agent.Response.GetHealth'],
    get_flags: [3, 'agent.Response.GetFlags'],
    get_version: [4, 'agent.Response.GetVersion'],
    get_metrics: [5, 'agent.Response.GetMetrics'],
    get_logging_level: [6, 'agent.Response.GetLoggingLevel'],
    list_files: [7, 'agent.Response.ListFiles'],
    read_file: [8, 'agent.Response.ReadFile'],
    get_state: [9, 'agent.Response.GetState'],
    get_containers: [10, 'agent.Response.GetContainers'],
    get_frameworks: [11, 'agent.Response.GetFrameworks'],
    get_executors: [12, 'agent.Response.GetExecutors'],
    get_operations: [18, 'agent.Response.GetOperations'],
    get_tasks: [13, 'agent.Response.GetTasks'],
    get_agent: [15, 'agent.Response.GetAgent'],
    get_resource_providers: [17, 'agent.Response.GetResourceProviders'],
    wait_nested_container: [14, 'agent.Response.WaitContainer'],
    wait_container: [16, 'agent.Response.WaitContainer'],
  },
  'agent.Response.GetHealth': {
    healthy: 1,
  },
  'agent.Response.GetFlags': {
    flags: [1, 'Flag'],
  },
  'agent.Response.GetVersion': {
    version_info: [1, 'VersionInfo'],
  },
  'agent.Response.GetMetrics': {
    metrics: [1, 'Metric'],
  },
  'agent.Response.GetLoggingLevel': {
    level: 1,
  },
  'agent.Response.ListFiles': {
    file_infos: [1, 'FileInfo'],
  },
  FileInfo: {
    path: 1,
    nlink: 2,
    size: 3,
    mode: 5,
    uid: 6,
    gid: 7,
  },
  'agent.Response.ReadFile': {
    size: 1,
    data: 2,
  },
  'agent.Response.GetState': {
    get_tasks: [1, 'agent.Response.GetTasks'],
    get_executors: [2, 'agent.Response.GetExecutors'],
    get_frameworks: [3, 'agent.Response.GetFrameworks'],
  },
  'agent.Response.GetContainers': {
    containers: [1, 'agent.Response.GetContainers.Container'],
  },
  'agent.Response.GetContainers.Container': {
    framework_id: [1, 'FrameworkID'],
    executor_id: [2, 'ExecutorID'],
    executor_name: 3,
    container_id: [4, 'ContainerID'],
    container_status: [5, 'ContainerStatus'],
  },
  'agent.Response.GetFrameworks': {
    frameworks: [1, 'agent.Response.GetFrameworks.Framework'],
    completed_frameworks: [2, 'agent.Response.GetFrameworks.Framework'],
  },
  'agent.Response.GetFrameworks.Framework': {
    framework_info: [1, 'FrameworkInfo'],
  },
  'agent.Response.GetExecutors': {
    executors: [1, 'agent.Response.GetExecutors.Executor'],
    completed_executors: [2, 'agent.Response.GetExecutors.Executor'],
  },
  'agent.Response.GetExecutors.Executor': {
    executor_info: [1, 'ExecutorInfo'],
  },
  'agent.Response.GetOperations': {
    operations: [1, 'Operation'],
  },
  'agent.Response.GetTasks': {
    pending_tasks: [1, 'Task'],
    queued_tasks: [2, 'Task'],
    launched_tasks: [3, 'Task'],
    terminated_tasks: [4, 'Task'],
    completed_tasks: [5, 'Task'],
  },
  'agent.Response.GetAgent': {
    agent_info: [1, 'AgentInfo'],
  },
  'agent.Response.GetResourceProviders': {
    resource_providers: [1, 'agent.Response.GetResourceProviders.ResourceProvider'],
  },
  'agent.Response.WaitContainer': {
    exit_status: 1,
    message: 5,
  },
}
