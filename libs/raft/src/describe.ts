import { asV2, type ConfChange } from './conf-change.ts'
import type { ConfState, NodeId } from './entry.ts'
import type { Progress } from './progress.ts'

// Exact renderings, shared by log lines and the data-driven tests. Source: reference raft.md §5.3.

/** `voters=(1 2 3)`, or `voters=(2 3)&&(1) learners=(4) learners_next=(1) autoleave`. */
export function describeConfiguration(config: ConfState): string {
  let text = `voters=(${list(config.voters)})`
  if (config.votersOutgoing.length > 0) text += `&&(${list(config.votersOutgoing)})`
  if (config.learners.length > 0) text += ` learners=(${list(config.learners)})`
  if (config.learnersNext.length > 0) text += ` learners_next=(${list(config.learnersNext)})`
  return config.autoLeave ? `${text} autoleave` : text
}

export function describeProgress(progress: Progress): string {
  let text = `${progress.state} match=${progress.match} next=${progress.next}`
  if (progress.isLearner) text += ' learner'
  if (progress.isPaused) text += ' paused'
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`
  if (!progress.isRecentlyActive) text += ' inactive'
  const { count, isFull } = progress.inflights
  if (count > 0) text += ` inflight=${count}${isFull ? '[full]' : ''}`
  return text
}

const list = (ids: readonly NodeId[]): string => ids.join(' ')

/** A change in full, as log lines show it. */
export function describeConfChange(change: ConfChange): string {
  const { transition, changes } = asV2(change)
  const parts = [`transition:${transition}`]
  for (const { type, nodeId } of changes) parts.push(`changes:{type:${type} node_id:${nodeId}}`)
  return parts.join(' ')
}
