import type { Secret } from '@conclave/model'
import { gather } from './gather.ts'
import type { Resolved, ResolvingTask, Resolver, WantedSecret } from './resolver.ts'

/** Which resolver a secret is for. Plaintext that lies in the spec itself needs nobody to ask. */
const isInline = (secret: Secret): boolean =>
  secret.reference === undefined && secret.value?.sealed === undefined

/**
 * One resolver out of two: `value` answers what the spec itself holds (or fails to hold), `store` all
 * that is referred to or sealed. Answers once, when both have.
 */
export class ComposedResolver implements Resolver {
  readonly #value: Resolver
  readonly #store: Resolver

  constructor(resolvers: { readonly value: Resolver; readonly store: Resolver }) {
    this.#value = resolvers.value
    this.#store = resolvers.store
  }

  resolve(
    task: ResolvingTask,
    wanted: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void {
    const inline = wanted.filter(({ secret }) => isInline(secret))
    const stored = wanted.filter(({ secret }) => !isInline(secret))
    const parts = [
      { resolver: this.#value, some: inline },
      { resolver: this.#store, some: stored },
    ].filter(({ some }) => some.length > 0)
    return gather(
      wanted,
      parts.map(({ resolver, some }) => ({
        wanted: some,
        ask: (answered) => resolver.resolve(task, some, answered),
      })),
      answer,
    )
  }
}
