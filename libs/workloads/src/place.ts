import { addScalars } from '@conclave/model'
import type { Board } from './board.ts'
import { satisfies, valueAt } from './constraint.ts'
import type { Node } from './node.ts'
import { isPerNode } from './spec.ts'
import { isLive, type WorkloadTask } from './task.ts'

/** How soon it is tried again for a task that no node had room for. */
const retryMs = 1000

/** Gives each task that shall run and has no node one that may have it: the least crowded. */
export function place(board: Board): void {
  const waiting = board
    .all()
    .filter(({ desired, state }) => desired === 'running' && state === 'pending')
  if (waiting.length === 0) return
  const crowd = new Crowd(board)
  for (const task of waiting) {
    const { node, why } = crowd.find(task)
    if (node === undefined) {
      if (why !== task.message) board.put({ ...task, message: why })
      board.wakeAt(board.scene.nowMs + retryMs)
      continue
    }
    crowd.take(node)
    const { message: _message, ...rest } = task
    board.put({
      ...rest,
      state: 'assigned',
      nodeName: node.name,
      agentId: node.agentId,
      assignedAtMs: board.scene.nowMs,
      stateAtMs: board.scene.nowMs,
    })
  }
}

/** What is where, while tasks are placed one after the other. */
class Crowd {
  readonly #board: Board
  readonly #free = new Map<string, Record<string, number>>()
  /** Tasks of this workload, by node. */
  readonly #own = new Map<string, number>()
  readonly #all = new Map<string, number>()

  constructor(board: Board) {
    this.#board = board
    for (const node of board.scene.nodes) {
      this.#free.set(node.name, { ...node.free })
      this.#all.set(node.name, node.tasks)
    }
    for (const task of board.all()) {
      if (task.nodeName === undefined || !isLive(task)) continue
      this.#own.set(task.nodeName, this.#ownOn(task.nodeName) + 1)
      // What has not been launched is not in the cluster's sums yet.
      if (task.state === 'assigned') this.#use(task.nodeName)
    }
  }

  take({ name }: Node): void {
    this.#own.set(name, this.#ownOn(name) + 1)
    this.#use(name)
  }

  find(task: WorkloadTask): { readonly node?: Node; readonly why: string } {
    const { nodes, workload } = this.#board.scene
    const { placement } = workload.spec
    const onlyName = isPerNode(workload.spec) ? task.slot : undefined
    const refusals = new Map<string, number>()
    const fitting = nodes.filter((node) => {
      const why = this.#refusal(node, onlyName)
      if (why !== undefined) refusals.set(why, (refusals.get(why) ?? 0) + 1)
      return why === undefined
    })
    const [node] = fitting.toSorted((a, b) => this.#compare(a, b, placement.spread))
    return node === undefined ? { why: whyNone(refusals) } : { node, why: '' }
  }

  /** In SwarmKit's words, that its clients know. */
  #refusal(node: Node, onlyName: string | undefined): string | undefined {
    const { workload, wants } = this.#board.scene
    const { constraints, maxPerNode } = workload.spec.placement
    if (onlyName !== undefined && node.name !== onlyName) return ''
    if (!node.isConnected || node.availability !== 'active') return 'not available for new tasks'
    if (!satisfies(node, constraints)) return 'scheduling constraints not satisfied'
    if (maxPerNode > 0 && this.#ownOn(node.name) >= maxPerNode) {
      return 'max replicas per node limit exceed'
    }
    const free = this.#free.get(node.name) ?? {}
    const hasRoom = Object.entries(wants).every(([name, amount]) => (free[name] ?? 0) >= amount)
    return hasRoom ? undefined : 'insufficient resources'
  }

  #compare(a: Node, b: Node, spread: readonly string[]): number {
    for (const key of spread) {
      const difference = this.#ownWith(key, a) - this.#ownWith(key, b)
      if (difference !== 0) return difference
    }
    return (
      this.#ownOn(a.name) - this.#ownOn(b.name) ||
      (this.#all.get(a.name) ?? 0) - (this.#all.get(b.name) ?? 0) ||
      (a.name < b.name ? -1 : 1)
    )
  }

  /** How many tasks of this workload are on nodes that have the same value there as `node`. */
  #ownWith(key: string, node: Node): number {
    const value = valueAt(node, key)
    const alike = this.#board.scene.nodes.filter((other) => valueAt(other, key) === value)
    return alike.reduce((sum, { name }) => sum + this.#ownOn(name), 0)
  }

  #ownOn(name: string): number {
    return this.#own.get(name) ?? 0
  }

  #use(name: string): void {
    const free = this.#free.get(name)
    if (free === undefined) return
    for (const [resource, amount] of Object.entries(this.#board.scene.wants)) {
      free[resource] = addScalars(free[resource] ?? 0, -amount)
    }
    this.#all.set(name, (this.#all.get(name) ?? 0) + 1)
  }
}

function whyNone(refusals: ReadonlyMap<string, number>): string {
  const why = [...refusals]
    .filter(([text]) => text !== '')
    .map(([text, nodes]) => `${text} on ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`)
  return why.length === 0 ? 'no suitable node' : `no suitable node (${why.join('; ')})`
}
