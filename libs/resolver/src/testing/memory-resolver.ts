import { Redacted } from '@conclave/kernel'
import type { Resolved, ResolvingTask, Resolver, WantedSecret } from '../resolver.ts'

/** The twin: values by reference name, answered when the test says so. */
export class MemoryResolver implements Resolver {
  readonly values = new Map<string, Uint8Array>()
  readonly #waiting = new Set<() => void>()

  resolve(
    _task: ResolvingTask,
    wanted: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void {
    const respond = (): void =>
      answer(wanted.map(({ secret }) => this.#find(secret.reference?.name)))
    this.#waiting.add(respond)
    return () => this.#waiting.delete(respond)
  }

  /** Answers everything that waits. */
  answer(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const respond of waiting) respond()
  }

  get waiting(): number {
    return this.#waiting.size
  }

  #find(name = ''): Resolved {
    const value = this.values.get(name)
    if (value === undefined) return { outcome: 'not-found', why: `there is no secret ${name}` }
    return { outcome: 'value', bytes: new Redacted(value.slice()), path: name, version: 1 }
  }
}
