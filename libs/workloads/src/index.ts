export { constraintProblem, satisfies, spreadProblem, valueAt } from './constraint.ts'
export { mayHaveNew } from './count.ts'
export { jobProgress, type JobProgress } from './job.ts'
export { idOf, idRandomBytes, isId } from './id.ts'
export { Availability, NodeSettings, type Node } from './node.ts'
export { reconcile } from './reconcile.ts'
export {
  nameKey,
  secretsUsedKey,
  NameRecord,
  nodeKey,
  nodePrefix,
  jobPrefix,
  specPrefix,
  statusKey,
  statusPrefix,
  taskKey,
  taskPrefix,
  tasksOfPrefix,
  templateKey,
  TemplateRecord,
  templatesOfPrefix,
  workloadIdAt,
  workloadKey,
} from './records.ts'
export type { Decided, Observed, Scene } from './scene.ts'
export {
  isJob,
  isPerNode,
  WorkloadSpec,
  type ChangePolicy,
  type Labels,
  type Mode,
  type Origin,
  type Placement,
  type RestartPolicy,
  type WorkloadSpecInput,
} from './spec.ts'
export {
  DesiredState,
  idInTaskId,
  InstanceState,
  isFinal,
  isLive,
  taskIdOf,
  WorkloadTask,
} from './task.ts'
export {
  isOfThisRun,
  JobRun,
  UpdateState,
  UpdateStatus,
  Workload,
  WorkloadStatus,
} from './workload.ts'
