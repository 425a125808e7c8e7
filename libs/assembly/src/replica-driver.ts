import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Journal, Replica, ReplicaWork, SnapshotUnderWay } from '@conclave/actors'
import type { Message, NodeId } from '@conclave/raft'
import { MicroBatch, processTimers, type Timers } from '@conclave/runtime'
import { CommitNews } from './commit-news.ts'

export interface ReplicaDriverOptions {
  readonly replica: Replica
  readonly journal: Journal
  readonly send: (to: NodeId, message: Message) => void
  /** All that there is to send for now was sent. */
  readonly onSent?: () => void
  /** The disk failed: whatever this member thought durable may not be, so it must stop at once. */
  readonly onFatal: (error: unknown) => void
  /** Default: the timers of this process. */
  readonly after?: Timers['after']
}

/**
 * Carries out what a replica decides: no judgement, only order. All that arrives during one turn of
 * the event loop or one fsync becomes a single batch, which is what makes many writers cheap.
 */
export class ReplicaDriver {
  readonly #options: ReplicaDriverOptions
  readonly #nextTurn = new MicroBatch(() => {
    if (this.#isRunning) this.#sendHeartbeats()
    else this.#running = this.#run()
  })
  readonly #commitNews: CommitNews
  readonly #isAwaited = (peer: NodeId): boolean => this.#options.replica.isAwaitedBy(peer)
  #isRunning = false
  #isStopped = false
  #running: Promise<void> = Promise.resolve()
  #savingSnapshot: Promise<void> | undefined

  constructor(options: ReplicaDriverOptions) {
    this.#options = options
    this.#commitNews = new CommitNews(options.after ?? processTimers.after, (messages) =>
      this.#send(messages),
    )
  }

  readonly wake = (): void => {
    if (!this.#isStopped) this.#nextTurn.wake()
  }

  /** Nothing is sent, and no write begins, after this; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#commitNews.stop()
    await this.#running
    await this.#savingSnapshot
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#isStopped) return
    this.#isRunning = true
    try {
      for (let work = this.#next(); work !== undefined; work = this.#next()) {
        await this.#carryOut(work)
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isRunning = false
    }
  }

  #next(): ReplicaWork | undefined {
    return this.#isStopped ? undefined : this.#options.replica.takeWork()
  }

  async #carryOut(work: ReplicaWork): Promise<void> {
    const { replica, journal } = this.#options
    this.#send(this.#commitNews.sift(work.early, this.#isAwaited))
    await work.install?.commit()
    if (work.batch !== undefined) await journal.append(work.batch)
    if (this.#isStopped) return
    this.#send(work.late)
    replica.advance()
    this.#saveSnapshotIfDue()
  }

  /** While the disk is at work: whoever waits for a sign of life need not wait for it, too. */
  #sendHeartbeats(): void {
    if (!this.#isStopped) this.#send(this.#options.replica.takeHeartbeats())
  }

  #send(messages: readonly Message[]): void {
    if (messages.length === 0) return
    const { send, onSent } = this.#options
    for (const message of messages) send(message.to, message)
    onSent?.()
  }

  #saveSnapshotIfDue(): void {
    if (this.#savingSnapshot !== undefined) return
    const underWay = this.#options.replica.beginSnapshot()
    if (underWay === undefined) return
    // Beside the appends: the group need not wait for a large file.
    this.#savingSnapshot = this.#saveSnapshot(underWay)
  }

  async #saveSnapshot(underWay: SnapshotUnderWay): Promise<void> {
    try {
      const sink = await this.#options.journal.beginSnapshot(underWay.meta)
      for (let chunk = underWay.next(); chunk !== undefined; chunk = underWay.next()) {
        await sink.write(chunk)
        // What else is to be done comes first: a chunk takes a few milliseconds.
        await nextTurn()
        if (this.#isStopped) return
      }
      await sink.commit()
      if (!this.#isStopped) underWay.saved()
    } catch (error) {
      this.#fail(error)
    } finally {
      underWay.abandon()
      this.#savingSnapshot = undefined
    }
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#commitNews.stop()
    this.#options.onFatal(error)
  }
}
