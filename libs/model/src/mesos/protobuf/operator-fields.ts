import type { FieldNumbers } from './field-numbers.ts'

/*
 * The messages of include/mesos/v1/master/master.proto, as far as they are read and written here.
 */

export const operatorFields: FieldNumbers = {
  'master.Call': {
    type: [1, 'master.Call.Type'],
    get_metrics: [2, 'master.Call.GetMetrics'],
    set_logging_level: [3, 'master.Call.SetLoggingLevel'],
    list_files: [4, 'master.Call.ListFiles'],
    read_file: [5, 'master.Call.ReadFile'],
    update_weights: [6, 'master.Call.UpdateWeights'],
    reserve_resources: [7, 'master.Call.ReserveResources'],
    unreserve_resources: [8, 'master.Call.UnreserveResources'],
    create_volumes: [9, 'master.Call.CreateVolumes'],
    destroy_volumes: [10, 'master.Call.DestroyVolumes'],
    grow_volume: [18, 'master.Call.GrowVolume'],
    shrink_volume: [19, 'master.Call.ShrinkVolume'],
    update_maintenance_schedule: [11, 'master.Call.UpdateMaintenanceSchedule'],
    start_maintenance: [12, 'master.Call.StartMaintenance'],
    stop_maintenance: [13, 'master.Call.StopMaintenance'],
    drain_agent: [21, 'master.Call.DrainAgent'],
    deactivate_agent: [22, 'master.Call.DeactivateAgent'],
    reactivate_agent: [23, 'master.Call.ReactivateAgent'],
    update_quota: [20, 'master.Call.UpdateQuota'],
    set_quota: [14, 'master.Call.SetQuota'],
    remove_quota: [15, 'master.Call.RemoveQuota'],
    teardown: [16, 'master.Call.Teardown'],
    mark_agent_gone: [17, 'master.Call.MarkAgentGone'],
  },
  'master.Call.GetMetrics': {
    timeout: [1, 'DurationInfo'],
  },
  'master.Call.SetLoggingLevel': {
    level: 1,
    duration: [2, 'DurationInfo'],
  },
  'master.Call.ListFiles': {
    path: 1,
  },
  'master.Call.ReadFile': {
    path: 1,
    offset: 2,
    length: 3,
  },
  'master.Call.UpdateWeights': {
    weight_infos: [1, 'WeightInfo'],
  },
  'master.Call.ReserveResources': {
    agent_id: [1, 'AgentID'],
    source: [3, 'Resource'],
    resources: [2, 'Resource'],
  },
  'master.Call.UnreserveResources': {
    agent_id: [1, 'AgentID'],
    resources: [2, 'Resource'],
  },
  'master.Call.CreateVolumes': {
    agent_id: [1, 'AgentID'],
    volumes: [2, 'Resource'],
  },
  'master.Call.DestroyVolumes': {
    agent_id: [1, 'AgentID'],
    volumes: [2, 'Resource'],
  },
  'master.Call.GrowVolume': {
    agent_id: [1, 'AgentID'],
    volume: [2, 'Resource'],
    addition: [3, 'Resource'],
  },
  'master.Call.ShrinkVolume': {
    agent_id: [1, 'AgentID'],
    volume: [2, 'Resource'],
    subtract: [3, 'Value.Scalar'],
  },
  'master.Call.UpdateMaintenanceSchedule': {
    schedule: [1, 'maintenance.Schedule'],
  },
  'maintenance.Schedule': {
    windows: [1, 'maintenance.Window'],
  },
  'master.Call.StartMaintenance': {
    machines: [1, 'MachineID'],
  },
  'master.Call.StopMaintenance': {
    machines: [1, 'MachineID'],
  },
  'master.Call.DrainAgent': {
    agent_id: [1, 'AgentID'],
    max_grace_period: [2, 'DurationInfo'],
    mark_gone: 3,
  },
  'master.Call.DeactivateAgent': {
    agent_id: [1, 'AgentID'],
  },
  'master.Call.ReactivateAgent': {
    agent_id: [1, 'AgentID'],
  },
  'master.Call.UpdateQuota': {
    force: 1,
    quota_configs: [2, 'quota.QuotaConfig'],
  },
  'quota.QuotaConfig': {},
  'master.Call.SetQuota': {
    quota_request: [1, 'quota.QuotaRequest'],
  },
  'quota.QuotaRequest': {},
  'master.Call.RemoveQuota': {
    role: 1,
  },
  'master.Call.Teardown': {
    framework_id: [1, 'FrameworkID'],
  },
  'master.Call.MarkAgentGone': {
    agent_id: [1, 'AgentID'],
  },
  'master.Response': {
    type: [1, 'master.Response.Type'],
    get_health: [2, 'master.Response.GetHealth'],
    get_flags: [3, 'master.Response.GetFlags'],
    get_version: [4, 'master.Response.GetVersion'],
    get_metrics: [5, 'master.Response.GetMetrics'],
    get_logging_level: [6, 'master.Response.GetLoggingLevel'],
    get_state: [9, 'master.Response.GetState'],
    get_agents: [10, 'master.Response.GetAgents'],
    get_frameworks: [11, 'master.Response.GetFrameworks'],
    get_executors: [12, 'master.Response.GetExecutors'],
    get_operations: [20, 'master.Response.GetOperations'],
    get_tasks: [13, 'master.Response.GetTasks'],
    get_roles: [14, 'master.Response.GetRoles'],
    get_weights: [15, 'master.Response.GetWeights'],
    get_master: [16, 'master.Response.GetMaster'],
    get_maintenance_status: [17, 'master.Response.GetMaintenanceStatus'],
    get_maintenance_schedule: [18, 'master.Response.GetMaintenanceSchedule'],
    get_quota: [19, 'master.Response.GetQuota'],
  },
  'master.Response.GetHealth': {
    healthy: 1,
  },
  'master.Response.GetFlags': {
    flags: [1, 'Flag'],
  },
  'master.Response.GetVersion': {
    version_info: [1, 'VersionInfo'],
  },
  'master.Response.GetMetrics': {
    metrics: [1, 'Metric'],
  },
  'master.Response.GetLoggingLevel': {
    level: 1,
  },
  'master.Response.GetState': {
    get_tasks: [1, 'master.Response.GetTasks'],
    get_executors: [2, 'master.Response.GetExecutors'],
    get_frameworks: [3, 'master.Response.GetFrameworks'],
    get_agents: [4, 'master.Response.GetAgents'],
  },
  'master.Response.GetTasks': {
    tasks: [2, 'Task'],
    unreachable_tasks: [5, 'Task'],
    completed_tasks: [3, 'Task'],
  },
  'master.Response.GetExecutors': {
    executors: [1, 'master.Response.GetExecutors.Executor'],
  },
  'master.Response.GetExecutors.Executor': {
    executor_info: [1, 'ExecutorInfo'],
    agent_id: [2, 'AgentID'],
  },
  'master.Response.GetFrameworks': {
    frameworks: [1, 'master.Response.GetFrameworks.Framework'],
    completed_frameworks: [2, 'master.Response.GetFrameworks.Framework'],
  },
  'master.Response.GetFrameworks.Framework': {
    framework_info: [1, 'FrameworkInfo'],
    active: 2,
    connected: 3,
    recovered: 11,
    registered_time: [4, 'TimeInfo'],
    reregistered_time: [5, 'TimeInfo'],
    unregistered_time: [6, 'TimeInfo'],
    offers: [7, 'Offer'],
    inverse_offers: [8, 'InverseOffer'],
    allocated_resources: [9, 'Resource'],
    offered_resources: [10, 'Resource'],
  },
  'master.Response.GetAgents': {
    agents: [1, 'master.Response.GetAgents.Agent'],
    recovered_agents: [2, 'AgentInfo'],
  },
  'master.Response.GetAgents.Agent': {
    agent_info: [1, 'AgentInfo'],
    active: 2,
    deactivated: 12,
    version: 3,
    pid: 4,
    registered_time: [5, 'TimeInfo'],
    reregistered_time: [6, 'TimeInfo'],
    total_resources: [7, 'Resource'],
    allocated_resources: [8, 'Resource'],
    offered_resources: [9, 'Resource'],
    capabilities: [10, 'AgentInfo.Capability'],
    drain_info: [13, 'DrainInfo'],
    estimated_drain_start_time: [14, 'TimeInfo'],
  },
  'master.Response.GetOperations': {
    operations: [1, 'Operation'],
  },
  'master.Response.GetRoles': {
    roles: [1, 'Role'],
  },
  'master.Response.GetWeights': {
    weight_infos: [1, 'WeightInfo'],
  },
  'master.Response.GetMaster': {
    master_info: [1, 'MasterInfo'],
    start_time: 2,
    elected_time: 3,
  },
  'master.Response.GetMaintenanceStatus': {
    status: [1, 'maintenance.ClusterStatus'],
  },
  'maintenance.ClusterStatus': {
    draining_machines: [1, 'maintenance.ClusterStatus.DrainingMachine'],
    down_machines: [2, 'MachineID'],
  },
  'maintenance.ClusterStatus.DrainingMachine': {
    id: [1, 'MachineID'],
    statuses: [2, 'allocator.InverseOfferStatus'],
  },
  'master.Response.GetMaintenanceSchedule': {
    schedule: [1, 'maintenance.Schedule'],
  },
  'maintenance.Window': {
    machine_ids: [1, 'MachineID'],
    unavailability: [2, 'Unavailability'],
  },
  'master.Response.GetQuota': {
    status: [1, 'quota.QuotaStatus'],
  },
  'quota.QuotaStatus': {
    infos: [1, 'quota.QuotaInfo'],
  },
  'quota.QuotaInfo': {},
  'master.Event': {
    type: [1, 'master.Event.Type'],
    subscribed: [2, 'master.Event.Subscribed'],
    task_added: [3, 'master.Event.TaskAdded'],
    task_updated: [4, 'master.Event.TaskUpdated'],
    agent_added: [5, 'master.Event.AgentAdded'],
    agent_removed: [6, 'master.Event.AgentRemoved'],
    framework_added: [7, 'master.Event.FrameworkAdded'],
    framework_updated: [8, 'master.Event.FrameworkUpdated'],
    framework_removed: [9, 'master.Event.FrameworkRemoved'],
  },
  'master.Event.Subscribed': {
    get_state: [1, 'master.Response.GetState'],
    heartbeat_interval_seconds: 2,
  },
  'master.Event.TaskAdded': {
    task: [1, 'Task'],
  },
  'master.Event.TaskUpdated': {
    framework_id: [1, 'FrameworkID'],
    status: [2, 'TaskStatus'],
    state: [3, 'TaskState'],
  },
  'master.Event.AgentAdded': {
    agent: [1, 'master.Response.GetAgents.Agent'],
  },
  'master.Event.AgentRemoved': {
    agent_id: [1, 'AgentID'],
  },
  'master.Event.FrameworkAdded': {
    framework: [1, 'master.Response.GetFrameworks.Framework'],
  },
  'master.Event.FrameworkUpdated': {
    framework: [1, 'master.Response.GetFrameworks.Framework'],
  },
  'master.Event.FrameworkRemoved': {
    framework_info: [1, 'FrameworkInfo'],
  },
}
