import type { Dice } from '../dice.ts'
import type { World } from '../world.ts'
import type { NaiveEvent, NaiveRedis, NaiveState } from './naive-redis.ts'

const presenceEveryMs = 1000
const deadAfterMs = 2000
const repeatEveryMs = 400
const startMs = 2000

export interface NaiveOptions {
  readonly world: World
  readonly redis: NaiveRedis
  readonly dice: Dice
  readonly id: string
  readonly kind: string
  /** How far the clock of its machine is ahead, in ms. */
  readonly clockAheadMs: number
  readonly onState: (instance: NaiveInstance) => void
}

/**
 * One instance of the election that node-raft-redis 0.1.1 does, as reference/raft.md 2.1 describes it:
 * presence keys and one channel, a majority of whoever is in view, term and vote in memory. It is here
 * to be seen going wrong; nothing of Conclave uses it.
 */
export class NaiveInstance {
  readonly id: string
  readonly #options: NaiveOptions
  state: NaiveState = 'follower'
  currentTerm = 0
  /** How many votes others gave it for the term that it leads. */
  votesWhenElected = 0
  #votedIn = 0
  #votes = new Set<string>()
  #deadlineUs = 0
  #isRunning = false
  #isFrozen = false
  /** Timers and events that came while its process stood still. */
  #late: (() => void)[] = []

  constructor(options: NaiveOptions) {
    this.#options = options
    this.id = options.id
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  start(): void {
    this.#isRunning = true
    this.#options.redis.listen(this)
    this.#write()
    this.#every(presenceEveryMs, () => this.#write())
    this.#after(startMs, () => {
      this.#resetTimeout()
      this.#every(presenceEveryMs, () => this.#look())
      this.#every(repeatEveryMs, () => this.#repeat())
      this.#every(50, () => this.#campaignIfDue())
    })
  }

  /** The process ends, and with it all that it knew. */
  kill(): void {
    this.#isRunning = false
    this.#options.redis.leave(this)
  }

  /** The process stands still, as in a long pause of its garbage collector. */
  freeze(): void {
    this.#isFrozen = true
  }

  thaw(): void {
    this.#isFrozen = false
    for (const act of this.#late.splice(0)) act()
  }

  hear(event: NaiveEvent): void {
    this.#act(() => this.#take(event))
  }

  #take(event: NaiveEvent): void {
    if (event.from === this.id || (event.to !== undefined && event.to !== this.id)) return
    if (event.type === 'request') this.#answer(event)
    else if (event.type === 'check') this.#obey(event)
    else this.#count(event)
  }

  #answer({ from, currentTerm }: NaiveEvent): void {
    const granted = currentTerm > this.currentTerm && currentTerm > this.#votedIn
    if (granted) {
      this.#votedIn = currentTerm
      this.#resetTimeout()
    }
    const vote = { type: 'vote', from: this.id, to: from, granted, currentTerm } as const
    this.#options.redis.publish(vote)
  }

  /** A leader of the same term is obeyed, too, even by a leader: so two of them take turns. */
  #obey({ currentTerm }: NaiveEvent): void {
    if (currentTerm < this.currentTerm) return
    this.currentTerm = currentTerm
    this.#resetTimeout()
    this.#become('follower')
  }

  #count({ from, granted, currentTerm }: NaiveEvent): void {
    if (this.state !== 'candidate' || granted !== true || currentTerm !== this.currentTerm) return
    this.#votes.add(from)
    const inView = this.#inView().size
    // The fault of all faults: of those in view, not of those that there are.
    if (this.#votes.size + 1 > inView / 2) this.#lead()
  }

  #lead(): void {
    this.votesWhenElected = this.#votes.size
    this.#become('leader')
    this.#repeat()
  }

  #campaignIfDue(): void {
    if (this.state === 'leader' || this.#options.world.nowUs < this.#deadlineUs) return
    this.currentTerm++
    this.#votedIn = this.currentTerm
    this.#votes = new Set()
    this.#resetTimeout()
    this.#become('candidate')
    this.#repeat()
  }

  #repeat(): void {
    const { redis } = this.#options
    const { id: from, currentTerm } = this
    if (this.state === 'leader') redis.publish({ type: 'check', from, currentTerm })
    if (this.state === 'candidate') redis.publish({ type: 'request', from, currentTerm })
  }

  #write(): void {
    const { redis } = this.#options
    redis.set(this.#keyOf(this.id), this.id, { ts: this.#nowMs(), state: this.state })
  }

  /** Removes whom it takes for dead, and crowns itself when nobody else is left. */
  #look(): void {
    const { redis } = this.#options
    for (const [key, { ts }] of redis.find(this.id, this.#prefix)) {
      if (this.#nowMs() - ts > deadAfterMs) redis.delete(key)
    }
    const inView = this.#inView()
    if (this.state !== 'leader' && inView.size <= 1) {
      this.currentTerm++
      this.#votes = new Set()
      this.#lead()
    }
  }

  #inView(): ReadonlySet<string> {
    const found = this.#options.redis.find(this.id, this.#prefix)
    return new Set([...found.keys()].map((key) => key.split(':')[2] ?? ''))
  }

  get #prefix(): string {
    return `consensus-nodes:${this.#options.kind}:`
  }

  #keyOf(id: string): string {
    return `${this.#prefix}${id}`
  }

  #nowMs(): number {
    return this.#options.world.nowMs + this.#options.clockAheadMs
  }

  #resetTimeout(): void {
    const { world, dice } = this.#options
    this.#deadlineUs = world.nowUs + dice.between(1000, 1500) * 1000
  }

  #become(state: NaiveState): void {
    if (state === this.state) return
    this.state = state
    this.#options.onState(this)
  }

  #every(ms: number, act: () => void): void {
    this.#after(ms, () => {
      act()
      this.#every(ms, act)
    })
  }

  #after(ms: number, act: () => void): void {
    this.#options.world.after(ms * 1000, () => this.#act(act))
  }

  #act(act: () => void): void {
    if (!this.#isRunning) return
    if (this.#isFrozen) this.#late.push(() => this.#act(act))
    else act()
  }
}
