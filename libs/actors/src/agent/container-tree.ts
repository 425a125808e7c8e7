import type { AgentTask } from './agent-task.ts'
import { parentOf } from './container-name.ts'

/**
 * Containers that are being made, run, or are being ended, by name; and which are nested in which, so that
 * what becomes of one costs nothing of those elsewhere. Nested ones come after, and go before, what they are in.
 */
export class ContainerTree {
  readonly #byName = new Map<string, AgentTask>()
  readonly #children = new Map<string, Set<AgentTask>>()

  get size(): number {
    return this.#byName.size
  }

  get(name: string): AgentTask | undefined {
    return this.#byName.get(name)
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** In the order in which they came. */
  values(): MapIterator<AgentTask> {
    return this.#byName.values()
  }

  add(task: AgentTask): void {
    const { containerId } = task
    this.#byName.set(containerId, task)
    const parent = parentOf(containerId)
    if (parent === undefined) return
    const siblings = this.#children.get(parent)
    if (siblings === undefined) this.#children.set(parent, new Set([task]))
    else siblings.add(task)
  }

  delete({ containerId }: AgentTask): void {
    const task = this.#byName.get(containerId)
    const parent = parentOf(containerId)
    this.#byName.delete(containerId)
    if (task === undefined || parent === undefined) return
    const siblings = this.#children.get(parent)
    siblings?.delete(task)
    if (siblings?.size === 0) this.#children.delete(parent)
  }

  hasNested(name: string): boolean {
    return this.#children.has(name)
  }

  /** All that are nested in it, however deep. */
  nestedIn(name: string): readonly AgentTask[] {
    const children = [...(this.#children.get(name) ?? [])]
    return children.flatMap((child) => [child, ...this.nestedIn(child.containerId)])
  }
}
