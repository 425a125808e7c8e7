import type { ClusterState } from '../state.ts'

/**
 * Who looks at the state. Operators see all of it; anybody else sees the frameworks that they subscribed
 * themselves, with their tasks and executors, and no agents.
 */
export interface Viewer {
  readonly uid: string
  readonly isOperator: boolean
}

export const maySee = (state: ClusterState, viewer: Viewer, frameworkId: string): boolean =>
  viewer.isOperator || state.frameworks.get(frameworkId)?.record.uid === viewer.uid
