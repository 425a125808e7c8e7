import { ConclaveError } from '@conclave/kernel'
import { CommandFailed, failureIn } from '../failure.ts'
import type { Context } from '../context.ts'
import type { Member, MemberPlan } from './member.ts'

export type Mode = 'one process' | 'processes'

export interface LocalClusterOptions {
  /** Everything that the cluster keeps on disk is below it, its logs included. */
  readonly directory: string
  readonly context: Context
  readonly mode: Mode
  readonly members: readonly MemberPlan[]
  /** Called when a member ended and nobody had asked for it. */
  readonly onLost: (id: string, why: string) => void
  /** Whether it is still wanted. */
  readonly signal?: AbortSignal
}

/** A cluster that this command started and may also hurt. */
export class LocalCluster {
  readonly directory: string
  readonly context: Context
  readonly mode: Mode
  readonly #plans: ReadonlyMap<string, MemberPlan>
  readonly #running = new Map<string, Member>()
  readonly #onLost: LocalClusterOptions['onLost']
  readonly #deserted = Promise.withResolvers<void>()

  private constructor({ directory, context, mode, members, onLost }: LocalClusterOptions) {
    this.#onLost = onLost
    this.directory = directory
    this.context = context
    this.mode = mode
    this.#plans = new Map(members.map((plan) => [plan.id, plan]))
  }

  /** Starts all members at once. When one cannot, the others are stopped, and its reason is thrown. */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options)
    const giveUp = new AbortController()
    const unwanted = (): void => giveUp.abort()
    options.signal?.addEventListener('abort', unwanted)
    const starts = options.members.map(({ id }) => cluster.restart(id, giveUp.signal))
    try {
      await Promise.all(starts)
      options.signal?.throwIfAborted()
      return cluster
    } catch (error) {
      // Some may wait for whoever did not start.
      giveUp.abort()
      await Promise.allSettled(starts)
      await cluster.stop()
      options.signal?.throwIfAborted()
      throw error
    } finally {
      options.signal?.removeEventListener('abort', unwanted)
    }
  }

  get members(): readonly MemberPlan[] {
    return [...this.#plans.values()]
  }

  /** Whether a master runs: without one there is nobody to wait for. */
  get hasMaster(): boolean {
    return [...this.#running.keys()].some((id) => this.#plan(id).kind === 'master')
  }

  directoryOf(member: string): string {
    return this.#plan(member).directory
  }

  pidOf(member: string): number | undefined {
    return this.#running.get(member)?.pid
  }

  listenersOf(member: string): Readonly<Record<string, string>> {
    return this.#running.get(member)?.listeners ?? {}
  }

  /** Ends a member as `kill -9` does: nothing is flushed, closed or said. */
  async kill(member: string): Promise<void> {
    const running = this.#running.get(member)
    if (running === undefined) throw new CommandFailed('notFound', `${member} is not running`)
    this.#running.delete(member)
    await running.kill()
  }

  /** Starts a member that does not run, on what it left on its disk. */
  async restart(member: string, signal?: AbortSignal): Promise<void> {
    const running = await this.#plan(member)
      .start(signal)
      .catch((error: unknown) => {
        throw named(member, error)
      })
    this.#running.set(member, running)
    void this.#watch(member, running)
  }

  /** Resolves when the last member has ended and nobody had asked for it. */
  get deserted(): Promise<void> {
    return this.#deserted.promise
  }

  async #watch(member: string, running: Member): Promise<void> {
    const why = await running.lost
    if (this.#running.get(member) !== running) return
    this.#running.delete(member)
    this.#onLost(member, why)
    if (this.#running.size === 0) this.#deserted.resolve()
  }

  /** Schedulers first, masters last: whoever still has something to say finds somebody to say it to. */
  async stop(): Promise<void> {
    for (const kind of ['scheduler', 'agent', 'master'] as const) {
      const ids = [...this.#running.keys()].filter((id) => this.#plan(id).kind === kind)
      await Promise.all(ids.map(async (id) => this.#running.get(id)?.stop()))
      for (const id of ids) this.#running.delete(id)
    }
  }

  #plan(member: string): MemberPlan {
    const plan = this.#plans.get(member)
    if (plan === undefined) throw new CommandFailed('notFound', `no member is called ${member}`)
    return plan
  }
}

/** A member in this process fails with a reason that does not say whose it is. */
function named(member: string, error: unknown): unknown {
  if (!(error instanceof ConclaveError) || error instanceof CommandFailed) return error
  const message = `${member} did not start: ${error.message}`
  return new CommandFailed(failureIn(error), message, { cause: error })
}
