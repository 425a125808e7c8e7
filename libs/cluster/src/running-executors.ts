import { ExecutorInfo, toJson } from '@conclave/model'
import type { ClusterState } from './state.ts'

export interface ExecutorPlace {
  readonly frameworkId: string
  readonly agentId: string
  readonly executor: Pick<ExecutorInfo, 'executor_id'>
}

/** The executor of this id that runs there: one does for as long as a task under it does. */
export const runningExecutor = (
  state: ClusterState,
  { frameworkId, agentId, executor }: ExecutorPlace,
): ExecutorInfo | undefined =>
  state.tasks.executorAt(agentId, frameworkId, executor.executor_id.value)?.info

/** An executor as a message may show it: without the values of its secrets and of its variables. */
export function executorText(executor: ExecutorInfo): string {
  const variables = executor.command?.environment?.variables ?? []
  const environment = { variables: variables.map(({ value: _value, ...shown }) => shown) }
  const { data: _data, ...rest } = executor
  const command = rest.command === undefined ? {} : { command: { ...rest.command, environment } }
  return JSON.stringify(toJson(ExecutorInfo, { ...rest, ...command }))
}
