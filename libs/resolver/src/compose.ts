import type { Secret } from '@conclave/model'
import { gather } from './gather.ts'
import type { Resolved, ResolvingTask, Resolver, WantedSecret } from './resolver.ts'

export interface ComposedResolvers {
  /** Answers what the spec itself holds, or fails to hold. */
  readonly value: Resolver
  /** Opens what a master has sealed, and answers references unless somebody else does. */
  readonly store: Resolver
  /** Answers references instead of the store: a module, or nobody (Mesos' default). */
  readonly references?: Resolver
}

/** Sends each secret to the one resolver that can answer it, and answers once, when all have. */
export class ComposedResolver implements Resolver {
  readonly #resolvers: ComposedResolvers

  constructor(resolvers: ComposedResolvers) {
    this.#resolvers = resolvers
  }

  resolve(
    task: ResolvingTask,
    wanted: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void {
    const parts = new Map<Resolver, WantedSecret[]>()
    for (const one of wanted) {
      const resolver = this.#resolverOf(one.secret)
      const part = parts.get(resolver)
      if (part === undefined) parts.set(resolver, [one])
      else part.push(one)
    }
    return gather(
      wanted,
      [...parts].map(([resolver, some]) => ({
        wanted: some,
        ask: (answered) => resolver.resolve(task, some, answered),
      })),
      answer,
    )
  }

  #resolverOf({ reference, value }: Secret): Resolver {
    const { value: inline, store, references = store } = this.#resolvers
    if (reference !== undefined) return references
    return value?.sealed === undefined ? inline : store
  }
}
