import { isRetired, type Board } from './board.ts'
import { satisfies } from './constraint.ts'
import type { Node } from './node.ts'
import type { WorkloadSpec } from './spec.ts'
import { isLive, type WorkloadTask } from './task.ts'

/** As many slots as are wanted: new ones begin, and those that are too many are retired. */
export function count(board: Board): void {
  const { mode } = board.scene.workload.spec
  if (mode.kind === 'replicated') countReplicas(board, mode.replicas)
  else if (mode.kind === 'global') countNodes(board)
}

function countReplicas(board: Board, replicas: number): void {
  const slots = board.slots()
  const used = [...slots].filter(([, tasks]) => !isRetired(tasks))
  if (used.length > replicas) {
    const tooMany = toRetire(board, used).slice(0, used.length - replicas)
    for (const [, tasks] of tooMany) retire(board, tasks)
  }
  let missing = replicas - used.length
  // Slots that are about to go are not begun anew: their numbers are free once they are gone.
  for (let number = 1; missing > 0; number++) {
    if (slots.has(String(number))) continue
    board.add(String(number))
    missing--
  }
}

type Slot = readonly [string, readonly WorkloadTask[]]

/** Who is given up first: what does not live, then what does not run yet, then what shares its node with most. */
function toRetire(board: Board, slots: readonly Slot[]): readonly Slot[] {
  const onNode = new Map<string, number>()
  for (const { nodeName, ...task } of board.all()) {
    if (nodeName === undefined || !isLive(task)) continue
    onNode.set(nodeName, (onNode.get(nodeName) ?? 0) + 1)
  }
  const weight = ([, tasks]: Slot): readonly number[] => {
    const live = tasks.filter(isLive)
    const running = live.find(({ state }) => state === 'running')
    const neighbours = onNode.get(running?.nodeName ?? '') ?? 0
    return [live.length === 0 ? 0 : running === undefined ? 1 : 2, -neighbours]
  }
  return slots.toSorted((a, b) => {
    const [aLife = 0, aCrowd = 0] = weight(a)
    const [bLife = 0, bCrowd = 0] = weight(b)
    return aLife - bLife || aCrowd - bCrowd || Number(b[0]) - Number(a[0])
  })
}

function countNodes(board: Board): void {
  const { nodes } = board.scene
  const slots = board.slots()
  for (const [slot, tasks] of slots) {
    // While its agent is away, nobody knows: it may come back with its task.
    if (!nodes.some(({ name }) => name === slot)) retire(board, tasks)
  }
  for (const node of nodes) {
    const tasks = slots.get(node.name) ?? []
    const last = tasks.at(-1)
    const hasOne = tasks.some(isLive) || (last !== undefined && isKept(last))
    if (!hasOne && mayHaveNew(node, board.scene.workload.spec)) board.add(node.name)
  }
}

/** What ended by itself is the restart policy's; what still ends is in the way of a new one. */
export const isKept = ({ desired, endedAtMs }: WorkloadTask): boolean =>
  desired === 'running' || desired === 'ready' || endedAtMs === undefined

/** Room aside: what a node has, and what is said of it, allows a new task of this spec there. */
export const mayHaveNew = (node: Node, { placement }: WorkloadSpec): boolean =>
  node.availability === 'active' && node.isConnected && satisfies(node, placement.constraints)

export function retire(board: Board, tasks: readonly WorkloadTask[]): void {
  for (const task of tasks) board.end(task, 'remove')
}
