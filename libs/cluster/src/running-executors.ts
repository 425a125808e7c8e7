import { ExecutorInfo } from '@conclave/model'
import type { ClusterState } from './state.ts'

export interface ExecutorPlace {
  readonly frameworkId: string
  readonly agentId: string
  readonly executor: Pick<ExecutorInfo, 'executor_id'>
}

/** The executor of this id that runs there. */
export const runningExecutor = (
  state: ClusterState,
  { frameworkId, agentId, executor }: ExecutorPlace,
): ExecutorInfo | undefined =>
  state.tasks.executorAt({ agentId, frameworkId, executorId: executor.executor_id.value })?.info

/** An executor as a message may show it. Upstream prints it whole, secrets included. */
export const executorText = (state: ClusterState, executor: ExecutorInfo): string =>
  JSON.stringify(state.surroundings.show(ExecutorInfo, executor))
