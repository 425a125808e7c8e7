import {
  wipeResolved,
  type Resolved,
  type ResolvingTask,
  type Resolver,
  type WantedSecret,
} from './resolver.ts'

/** What somebody outside of the core is asked. Nothing in it is secret. */
export interface OutsideQuestion extends ResolvingTask {
  readonly questionId: string
  readonly secrets: readonly WantedSecret[]
}

export interface OutsideResolverOptions {
  readonly ask: (question: OutsideQuestion) => void
  readonly abandon: (questionId: string) => void
}

/**
 * Resolves through whoever carries questions out of the core, such as a module that somebody else wrote.
 * The answer comes back through {@link OutsideResolver.answered}.
 */
export class OutsideResolver implements Resolver {
  readonly #options: OutsideResolverOptions
  readonly #pending = new Map<string, (resolved: readonly Resolved[]) => void>()
  #lastId = 0

  constructor(options: OutsideResolverOptions) {
    this.#options = options
  }

  resolve(
    { frameworkId, taskId, containerId }: ResolvingTask,
    secrets: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void {
    const questionId = `${++this.#lastId}`
    this.#pending.set(questionId, answer)
    this.#options.ask({ questionId, frameworkId, taskId, containerId, secrets })
    return () => {
      if (this.#pending.delete(questionId)) this.#options.abandon(questionId)
    }
  }

  /** An answer that nobody waits for is wiped. */
  answered(questionId: string, resolved: readonly Resolved[]): void {
    const answer = this.#pending.get(questionId)
    if (answer === undefined) return wipeResolved(resolved)
    this.#pending.delete(questionId)
    answer(resolved)
  }
}
