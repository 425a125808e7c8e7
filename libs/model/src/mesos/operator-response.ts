import { Id } from './id.ts'
import {
  boolean,
  double,
  enumeration,
  listed,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { ClusterStatus, DrainInfo, InverseOffer, MaintenanceSchedule } from './maintenance.ts'
import { Offer } from './offer.ts'
import { WeightInfo } from './operator.ts'
import { AgentInfo, FrameworkInfo, MasterInfo } from './participants.ts'
import { processAnswers } from './process-response.ts'
import { Resource } from './resource.ts'
import { ExecutorInfo, Task } from './task-info.ts'
import { TaskState, TaskStatus } from './task-status.ts'

/*
 * What the operator API answers and tells. Source: mesos.md §6. Arrays that Mesos writes by hand are
 * there even when they are empty.
 */

const Time = message('TimeInfo', { nanoseconds: required(uint) })

export const AgentState = message('Response.GetAgents.Agent', {
  agent_info: required(AgentInfo),
  active: required(boolean),
  deactivated: optional(boolean),
  version: required(text),
  pid: optional(text),
  registered_time: optional(Time),
  reregistered_time: optional(Time),
  total_resources: listed(Resource),
  allocated_resources: listed(Resource),
  offered_resources: listed(Resource),
  capabilities: listed(
    message('AgentInfo.Capability', {
      type: optional(
        enumeration(
          'UNKNOWN',
          'MULTI_ROLE',
          'HIERARCHICAL_ROLE',
          'RESERVATION_REFINEMENT',
          'RESOURCE_PROVIDER',
          'RESIZE_VOLUME',
          'AGENT_OPERATION_FEEDBACK',
          'AGENT_DRAINING',
          'TASK_RESOURCE_LIMITS',
        ),
      ),
    }),
  ),
  drain_info: optional(DrainInfo),
  estimated_drain_start_time: optional(Time),
})
export type AgentState = Infer<typeof AgentState>

export const FrameworkState = message('Response.GetFrameworks.Framework', {
  framework_info: required(FrameworkInfo),
  active: required(boolean),
  connected: required(boolean),
  recovered: required(boolean),
  registered_time: optional(Time),
  reregistered_time: optional(Time),
  unregistered_time: optional(Time),
  offers: listed(Offer),
  inverse_offers: repeated(InverseOffer),
  allocated_resources: listed(Resource),
  offered_resources: listed(Resource),
})
export type FrameworkState = Infer<typeof FrameworkState>

const GetTasks = message('Response.GetTasks', {
  tasks: listed(Task),
  unreachable_tasks: listed(Task),
  completed_tasks: listed(Task),
})
export type GetTasks = Infer<typeof GetTasks>

const GetAgents = message('Response.GetAgents', {
  agents: listed(AgentState),
  recovered_agents: listed(AgentInfo),
})
export type GetAgents = Infer<typeof GetAgents>

const GetFrameworks = message('Response.GetFrameworks', {
  frameworks: listed(FrameworkState),
  completed_frameworks: listed(FrameworkState),
})
export type GetFrameworks = Infer<typeof GetFrameworks>

const GetExecutors = message('Response.GetExecutors', {
  executors: listed(
    message('Response.GetExecutors.Executor', {
      executor_info: required(ExecutorInfo),
      agent_id: required(Id),
    }),
  ),
})
export type GetExecutors = Infer<typeof GetExecutors>

const GetState = message('Response.GetState', {
  get_tasks: optional(GetTasks),
  get_executors: optional(GetExecutors),
  get_frameworks: optional(GetFrameworks),
  get_agents: optional(GetAgents),
})
export type GetState = Infer<typeof GetState>

const GetRoles = message('Response.GetRoles', {
  roles: listed(
    message('Role', {
      name: required(text),
      weight: required(double),
      frameworks: listed(Id),
      resources: listed(Resource),
    }),
  ),
})
export type GetRoles = Infer<typeof GetRoles>

const none = message('Nothing', {})

export const MasterResponse = message('master.Response', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'GET_HEALTH',
      'GET_FLAGS',
      'GET_VERSION',
      'GET_METRICS',
      'GET_LOGGING_LEVEL',
      'GET_STATE',
      'GET_AGENTS',
      'GET_FRAMEWORKS',
      'GET_EXECUTORS',
      'GET_OPERATIONS',
      'GET_TASKS',
      'GET_ROLES',
      'GET_WEIGHTS',
      'GET_MASTER',
      'GET_MAINTENANCE_STATUS',
      'GET_MAINTENANCE_SCHEDULE',
      'GET_QUOTA',
    ),
  ),
  ...processAnswers,
  get_state: optional(GetState),
  get_agents: optional(GetAgents),
  get_frameworks: optional(GetFrameworks),
  get_executors: optional(GetExecutors),
  get_operations: optional(message('Response.GetOperations', { operations: listed(none) })),
  get_tasks: optional(GetTasks),
  get_roles: optional(GetRoles),
  get_weights: optional(message('Response.GetWeights', { weight_infos: listed(WeightInfo) })),
  get_master: optional(
    message('Response.GetMaster', {
      master_info: optional(MasterInfo),
      start_time: optional(double),
      elected_time: optional(double),
    }),
  ),
  get_maintenance_status: optional(
    message('Response.GetMaintenanceStatus', {
      status: required(ClusterStatus),
    }),
  ),
  get_maintenance_schedule: optional(
    message('Response.GetMaintenanceSchedule', {
      schedule: required(MaintenanceSchedule),
    }),
  ),
  get_quota: optional(
    message('Response.GetQuota', {
      status: required(message('quota.QuotaStatus', { infos: repeated(none) })),
    }),
  ),
})
export type MasterResponse = Infer<typeof MasterResponse>

/** What somebody who follows the state is told. */
export const MasterEvent = message('master.Event', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'SUBSCRIBED',
      'TASK_ADDED',
      'TASK_UPDATED',
      'AGENT_ADDED',
      'AGENT_REMOVED',
      'FRAMEWORK_ADDED',
      'FRAMEWORK_UPDATED',
      'FRAMEWORK_REMOVED',
      'HEARTBEAT',
    ),
  ),
  subscribed: optional(
    message('Event.Subscribed', {
      get_state: optional(GetState),
      heartbeat_interval_seconds: optional(double),
    }),
  ),
  task_added: optional(message('Event.TaskAdded', { task: required(Task) })),
  task_updated: optional(
    message('Event.TaskUpdated', {
      framework_id: required(Id),
      status: required(TaskStatus),
      state: required(TaskState),
    }),
  ),
  agent_added: optional(message('Event.AgentAdded', { agent: required(AgentState) })),
  agent_removed: optional(message('Event.AgentRemoved', { agent_id: required(Id) })),
  framework_added: optional(
    message('Event.FrameworkAdded', { framework: required(FrameworkState) }),
  ),
  framework_updated: optional(
    message('Event.FrameworkUpdated', { framework: required(FrameworkState) }),
  ),
  framework_removed: optional(
    message('Event.FrameworkRemoved', { framework_info: required(FrameworkInfo) }),
  ),
})
export type MasterEvent = Infer<typeof MasterEvent>
