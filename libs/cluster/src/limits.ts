/** Bounds and spans. Ticks are seconds of the leader's clock. */
export interface ClusterLimits {
  /** Silence on a scheduler's stream never lasts longer than this. */
  readonly heartbeatTicks: number
  /** The same for those who follow the state. Source: mesos.md §6. */
  readonly watcherHeartbeatTicks: number
  readonly watchersMax: number
  /** What agents are told to expect. */
  readonly agentHeartbeatSeconds: number
  /** How long an agent may stay away before its tasks are given up. */
  readonly agentTimeoutTicks: number
  /** The least time that frameworks get to come back after a change of leader. */
  readonly failoverTicksMin: number
  /** When an offer that nobody answered is taken back. */
  readonly offerTimeoutTicks: number
  /** The same while another framework waits for an offer and has none. */
  readonly offerHoldTicks: number
  /** The first wait before an unacknowledged status is sent again; it doubles from there. */
  readonly statusRetryTicks: number
  readonly statusRetryTicksMax: number
  /** Between SIGTERM and SIGKILL, when neither the task nor the call says. */
  readonly killGraceMs: number
  readonly completedTasksMax: number
  readonly completedFrameworksMax: number
  readonly unreachableAgentsMax: number
  /** Statuses of one task that wait for acknowledgement. */
  readonly pendingStatusesMax: number
  /** Places in one task that a secret may be wanted at. */
  readonly secretsPerTaskMax: number
  readonly tasksPerGroupMax: number
  /** A group is launched in one transaction, with a grant for each of its secrets. */
  readonly secretsPerGroupMax: number
  readonly groupSizeBytesMax: number
  /** A TaskInfo with its sealed values, as JSON: it has to fit into one record of the store. */
  readonly taskSizeBytesMax: number
}

export const defaultClusterLimits: ClusterLimits = {
  // Mesos' own 15 s are longer than the 10 s after which npm mesos-framework hangs up (mesos.md §23).
  heartbeatTicks: 5,
  watcherHeartbeatTicks: 15,
  watchersMax: 1000,
  agentHeartbeatSeconds: 5,
  agentTimeoutTicks: 75,
  failoverTicksMin: 60,
  offerTimeoutTicks: 300,
  offerHoldTicks: 10,
  statusRetryTicks: 10,
  statusRetryTicksMax: 600,
  killGraceMs: 3000,
  completedTasksMax: 1000,
  completedFrameworksMax: 50,
  unreachableAgentsMax: 100,
  pendingStatusesMax: 16,
  secretsPerTaskMax: 256,
  tasksPerGroupMax: 64,
  secretsPerGroupMax: 384,
  groupSizeBytesMax: 3 * 1024 * 1024,
  taskSizeBytesMax: 640 * 1024,
}
