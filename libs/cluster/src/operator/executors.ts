import type { GetExecutors } from '@conclave/model'
import type { ClusterState } from '../state.ts'
import { maySee, type Viewer } from './viewer.ts'

/** Executors of frameworks and of groups. As in Mesos, a command task has none that a master knows. */
export const getExecutors = (state: ClusterState, viewer: Viewer): GetExecutors => ({
  executors: Array.from(state.tasks.executors())
    .filter(({ frameworkId }) => maySee(state, viewer, frameworkId))
    .map(({ info, agentId }) => ({ executor_info: info, agent_id: { value: agentId } })),
})
