import { isRetired, livesIn, type Board } from './board.ts'
import { satisfies } from './constraint.ts'
import type { Node } from './node.ts'
import { isPerNode } from './spec.ts'
import { isLive, type WorkloadTask } from './task.ts'

/** A task that no offer came for in this time is placed anew. */
const assignedMsMax = 30_000

/** Takes tasks from nodes that may not have them (any more). */
export function displace(board: Board): void {
  const { nodes, workload, nowMs } = board.scene
  const isBound = isPerNode(workload.spec)
  for (const task of board.all()) {
    if (!isLive(task) || task.nodeName === undefined) continue
    const node = nodes.find(({ name }) => name === task.nodeName)
    const why = node === undefined ? undefined : reasonToLeave(board, node)
    if (task.state === 'assigned') {
      const isLate = nowMs - (task.assignedAtMs ?? 0) >= assignedMsMax
      const isThere = node !== undefined && node.isConnected && node.availability === 'active'
      if (isBound && why !== undefined) board.end(task, 'shutdown', why)
      else if (isLate || !isThere || why !== undefined) board.put(withoutNode(task))
      else board.wakeAt((task.assignedAtMs ?? 0) + assignedMsMax)
      continue
    }
    if (why === undefined) continue
    if (!isBound) move(board, task)
    board.end(task, 'shutdown')
  }
}

function reasonToLeave(board: Board, node: Node): string | undefined {
  const { placement } = board.scene.workload.spec
  if (node.availability === 'drain') return `node ${node.name} is drained`
  if (!satisfies(node, placement.constraints)) {
    return `node ${node.name} does not satisfy the placement constraints any more`
  }
  return undefined
}

/** The task after it goes on elsewhere as if nothing had been: this is no failure of its own. */
function move(board: Board, task: WorkloadTask): void {
  const { failuresInRow, restartsAtMs, templateVersion, settledAtMs } = task
  const isSame = templateVersion === board.scene.workload.templateVersion
  const settled = isSame && settledAtMs !== undefined ? { settledAtMs } : {}
  const { clean } = livesIn(board.of(task.slot), board.scene.workload.templateVersion)
  // While a new one starts before the old one ends, the new one is there already.
  if (clean.some((other) => other !== task)) return
  board.add(task.slot, { desired: 'ready', failuresInRow, restartsAtMs, ...settled })
}

export function withoutNode(task: WorkloadTask): WorkloadTask {
  const { nodeName: _node, agentId: _agent, assignedAtMs: _at, message: _message, ...rest } = task
  return { ...rest, state: 'pending' }
}

/** Where two live that should not, one stays: the current template's, and of those the one that runs. */
export function resolve(board: Board): void {
  const { workload } = board.scene
  for (const tasks of board.slots().values()) {
    if (isRetired(tasks)) continue
    const { clean, dirty } = livesIn(tasks, workload.templateVersion)
    const best = bestOf(clean)
    for (const task of clean) if (task !== best) board.end(task, 'shutdown')
    const isReplaced = best !== undefined && (best.state === 'running' || best.desired === 'ready')
    const bestDirty = bestOf(dirty)
    for (const task of dirty) {
      if (isReplaced || task !== bestDirty) board.end(task, 'shutdown')
    }
  }
}

const bestOf = (tasks: readonly WorkloadTask[]): WorkloadTask | undefined =>
  tasks.find(({ state }) => state === 'running') ?? tasks.at(-1)
