import type { GetState } from '@conclave/model'
import type { ClusterState } from '../state.ts'
import { getAgents } from './agents.ts'
import { getExecutors } from './executors.ts'
import { getFrameworks } from './frameworks.ts'
import { getTasks } from './tasks.ts'
import type { Viewer } from './viewer.ts'

/** All of it: what GET_STATE answers, and what a subscription begins with. */
export const getState = (state: ClusterState, viewer: Viewer): GetState => ({
  get_tasks: getTasks(state, viewer),
  get_executors: getExecutors(state, viewer),
  get_frameworks: getFrameworks(state, viewer),
  get_agents: getAgents(state, viewer),
})
