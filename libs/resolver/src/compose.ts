import type { Secret } from '@conclave/model'
import {
  wipeResolved,
  type Resolved,
  type ResolvingTask,
  type Resolver,
  type WantedSecret,
} from './resolver.ts'

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
    const parts = [
      { resolver: this.#value, wanted: wanted.filter(({ secret }) => isInline(secret)) },
      { resolver: this.#store, wanted: wanted.filter(({ secret }) => !isInline(secret)) },
    ].filter((part) => part.wanted.length > 0)
    const found = new Map<WantedSecret, Resolved>()
    let waiting = parts.length
    let isAbandoned = false
    if (waiting === 0) answer([])

    const abandons = parts.map((part) =>
      part.resolver.resolve(task, part.wanted, (resolved) => {
        if (isAbandoned) return wipeResolved(resolved)
        for (const [index, one] of part.wanted.entries()) {
          found.set(one, resolved[index] ?? { outcome: 'invalid', why: 'a resolver left it out' })
        }
        if (--waiting === 0) answer(wanted.flatMap((one) => found.get(one) ?? []))
      }),
    )
    return () => {
      isAbandoned = true
      for (const abandon of abandons) abandon()
      if (waiting > 0) wipeResolved([...found.values()])
    }
  }
}
