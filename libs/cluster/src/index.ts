export {
  ClusterCore,
  type ClusterOptions,
  type GrantAnswer,
  type GrantAsk,
} from './cluster-core.ts'
export type {
  ClusterEffect,
  ClusterInput,
  ClusterSurroundings,
  PlainAnswer,
  RecordChange,
} from './effect.ts'
export {
  type LegacyAsk,
  legacyEndpoints,
  type LegacyEndpoint,
  type LegacyQuery,
} from './legacy/legacy.ts'
export type { Show } from './legacy/show.ts'
export type { OperatorAnswer } from './operator/operate.ts'
export type { Viewer } from './operator/viewer.ts'
export { executorProblem } from './validation/executor.ts'
export { secretCountProblem } from './validation/strict.ts'
export { taskProblem } from './validation/task.ts'
export { defaultClusterLimits, type ClusterLimits } from './limits.ts'
export {
  AgentRecord,
  agentsIn,
  agentsPrefix,
  allGrantsIn,
  clusterPrefix,
  FrameworkRecord,
  frameworksIn,
  grantsIn,
  putAgent,
  putTask,
  taskIn,
  TaskRecord,
  tasksIn,
  tasksPrefix,
  type RecordReader,
  type StoredRecord,
} from './records.ts'
