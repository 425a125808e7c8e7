import { Dice } from '../dice.ts'
import { World } from '../world.ts'
import { NaiveInstance } from './naive-instance.ts'
import { NaiveRedis, type NaiveState } from './naive-redis.ts'

export interface NaiveGroupOptions {
  readonly seed?: number
  readonly ids: readonly string[]
  readonly kind?: string
  /** By id, in ms. */
  readonly clockAheadMs?: Readonly<Record<string, number>>
}

/** Who became what, and when. */
export interface NaiveChange {
  readonly atMs: number
  readonly id: string
  readonly state: NaiveState
  readonly term: number
}

/** Instances of the naive election in virtual time. */
export class NaiveGroup {
  readonly world = new World()
  readonly redis: NaiveRedis
  readonly changes: NaiveChange[] = []
  /** At any moment so far. */
  mostLeaders = 0
  readonly #options: NaiveGroupOptions
  readonly #instances = new Map<string, NaiveInstance>()
  #starts = 0

  constructor(options: NaiveGroupOptions) {
    this.#options = options
    this.redis = new NaiveRedis(this.world)
    for (const id of options.ids) this.restart(id)
  }

  get leaders(): readonly NaiveInstance[] {
    return [...this.#instances.values()].filter(
      ({ state, isRunning }) => isRunning && state === 'leader',
    )
  }

  instance(id: string): NaiveInstance {
    const instance = this.#instances.get(id)
    if (instance === undefined) throw new Error(`nobody is called ${id}`)
    return instance
  }

  /** A process of this name begins, and knows nothing of the one before. */
  restart(id: string): NaiveInstance {
    const { seed = 1, kind = 'my-service', clockAheadMs = {} } = this.#options
    this.#instances.get(id)?.kill()
    const instance = new NaiveInstance({
      world: this.world,
      redis: this.redis,
      dice: new Dice(seed, `${id} ${this.#starts++}`),
      id,
      kind,
      clockAheadMs: clockAheadMs[id] ?? 0,
      onState: (changed) => this.#note(changed),
    })
    this.#instances.set(id, instance)
    instance.start()
    return instance
  }

  /** Of two groups that do not see each other any more. */
  split(half: readonly string[]): void {
    this.redis.sees = (reader, writer) => half.includes(reader) === half.includes(writer)
  }

  async pass(ms: number): Promise<void> {
    await this.world.run(this.world.nowUs + ms * 1000)
  }

  #note({ id, state, currentTerm }: NaiveInstance): void {
    this.changes.push({ atMs: this.world.nowMs, id, state, term: currentTerm })
    this.mostLeaders = Math.max(this.mostLeaders, this.leaders.length)
  }
}
