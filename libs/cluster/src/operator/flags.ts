import type { ClusterState } from '../state.ts'

/**
 * How this master behaves, in the names that Mesos' flags have for it. Only what is so: a flag of
 * Mesos' that changes nothing here is not listed.
 */
export function flagsOf({ clusterId, limits }: ClusterState): Readonly<Record<string, string>> {
  return {
    agent_reregister_timeout: `${limits.agentTimeoutTicks}secs`,
    allocation_interval: '1secs',
    allocator: 'hierarchical',
    authenticate_agents: 'true',
    authenticate_frameworks: 'true',
    authenticate_http_frameworks: 'true',
    authenticate_http_readonly: 'true',
    authenticate_http_readwrite: 'true',
    authorizers: 'local',
    cluster: clusterId,
    framework_sorter: 'drf',
    max_completed_frameworks: String(limits.completedFrameworksMax),
    max_operator_event_stream_subscribers: String(limits.watchersMax),
    max_unreachable_tasks_per_framework: String(limits.completedTasksMax),
    offer_timeout: `${limits.offerTimeoutTicks}secs`,
    registry: 'replicated_log',
    root_submissions: 'true',
    role_sorter: 'drf',
  }
}
