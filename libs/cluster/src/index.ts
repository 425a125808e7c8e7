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
export type { OperatorAnswer } from './operator-view.ts'
export { executorProblem } from './validation/executor.ts'
export { taskProblem } from './validation/task.ts'
export { defaultClusterLimits, type ClusterLimits } from './limits.ts'
export {
  AgentRecord,
  agentsIn,
  allGrantsIn,
  clusterPrefix,
  FrameworkRecord,
  frameworksIn,
  grantsIn,
  putAgent,
  taskIn,
  TaskRecord,
  tasksIn,
  tasksPrefix,
  type RecordReader,
  type StoredRecord,
} from './records.ts'
