import { setTimeout as sleep } from 'node:timers/promises'
import { FrameworkActor, type FrameworkInput } from '@conclave/actors'
import { ConclaveError, type Clock, type Random } from '@conclave/kernel'
import {
  Backoff,
  eventsOf,
  HttpClient,
  recordsOf,
  silentLog,
  SystemClock,
  SystemRandom,
  Ticker,
  type HttpStream,
  type Log,
} from '@conclave/runtime'
import { KnownMasters } from '../cluster/known-masters.ts'
import { FrameworkMemory } from './framework-file.ts'
import { MasterSession, MasterUrls, type ServiceAccount } from './master-session.ts'
import { hear, hearMasters, hearPending } from './scheduler-events.ts'

export interface SchedulerOptions {
  /** Where it keeps its framework id, and who the masters are as it heard last. */
  readonly directory: string
  readonly masters: readonly MasterUrls[]
  readonly account: ServiceAccount
  /** Default `conclave`. */
  readonly name?: string
  /** How long its tasks go on without it, in seconds. Default a week. */
  readonly failoverTimeoutSeconds?: number
  readonly log?: Log
  readonly clock?: Clock
  readonly random?: Random
  readonly retryFirstMs?: number
  readonly retryMaxMs?: number
}

export interface RunningScheduler {
  readonly frameworkId: string | undefined
  /** Resolves once it is subscribed for the first time. */
  readonly subscribed: Promise<void>
  /** Ends it; its tasks go on for as long as the failover timeout says. */
  stop(): Promise<void>
  /** Ends it as a crash does: nobody is told, nothing is waited for. */
  destroy(): void
}

/** A master answered, but not with what was asked for: the next attempt may go to another one. */
export class SubscriptionRefused extends ConclaveError {
  readonly code = 'subscription.refused'
}

const week = 7 * 24 * 3600
const tickMs = 1000
/** How often it asks who the masters are. */
const learnEveryTicks = 30
/** From a follower to the leader, and once more if that has just changed. */
const hopsMax = 3

/** Starts one framework that launches what was submitted with `conclave run`. */
export async function startScheduler(options: SchedulerOptions): Promise<RunningScheduler> {
  const memory = await FrameworkMemory.open(options.directory)
  const known = await KnownMasters.open(options.directory, options.masters, MasterUrls)
  return new Scheduler(options, memory, known)
}

class Scheduler implements RunningScheduler {
  readonly #options: SchedulerOptions
  readonly #memory: FrameworkMemory
  readonly #known: KnownMasters<MasterUrls>
  readonly #http: HttpClient
  readonly #session: MasterSession
  readonly #actor = new FrameworkActor()
  readonly #log: Log
  readonly #backoff: Backoff
  readonly #stopping = new AbortController()
  readonly #ticker = new Ticker(tickMs, () => this.#tick())
  readonly #firstSubscription = Promise.withResolvers<void>()
  readonly #running: Promise<void>
  #subscription: Subscription | undefined
  #preferred = 0
  #ticks = 0

  constructor(options: SchedulerOptions, memory: FrameworkMemory, known: KnownMasters<MasterUrls>) {
    this.#options = options
    this.#memory = memory
    this.#known = known
    this.#log = options.log ?? silentLog
    this.#http = new HttpClient()
    this.#session = new MasterSession(
      this.#http,
      options.account,
      options.clock ?? new SystemClock(),
    )
    this.#backoff = new Backoff(
      options.random ?? new SystemRandom(),
      options.retryFirstMs ?? 50,
      options.retryMaxMs ?? 2000,
    )
    this.#ticker.start()
    this.#running = this.#run()
  }

  get frameworkId(): string | undefined {
    return this.#memory.frameworkId
  }

  get subscribed(): Promise<void> {
    return this.#firstSubscription.promise
  }

  async stop(): Promise<void> {
    this.destroy()
    await this.#running
  }

  destroy(): void {
    this.#ticker.stop()
    this.#stopping.abort()
    this.#subscription?.close()
    this.#http.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#beSubscribed()
        this.#log.info({}, 'the subscription ended')
      } catch (error) {
        if (signal.aborted) return
        this.#log.warn({ err: error }, 'no subscription')
      }
      this.#step({ kind: 'disconnected' })
      await sleep(this.#backoff.nextMs(), undefined, { signal }).catch(() => undefined)
    }
  }

  /** Finds the leader, subscribes, and listens for as long as the subscription lasts. */
  async #beSubscribed(): Promise<void> {
    const { master, stream } = await this.#subscribe()
    const subscription = new Subscription({
      session: this.#session,
      master,
      stream,
      log: this.#log,
    })
    this.#subscription = subscription
    try {
      await this.#listen(subscription)
    } finally {
      subscription.close()
      this.#subscription = undefined
    }
  }

  async #subscribe(): Promise<{ master: MasterUrls; stream: HttpStream }> {
    const masters = this.#known.all
    let master = masters[this.#preferred % masters.length]
    // Unless this one leads, the next attempt begins with the next.
    this.#preferred++
    for (let hop = 0; hop < hopsMax && master !== undefined; hop++) {
      const stream = await this.#session.stream(master, {
        method: 'POST',
        url: new URL('/api/v1/scheduler', master.mesos).href,
        headers: { accept: 'application/json' },
        body: this.#subscribeCall(),
        signal: this.#stopping.signal,
      })
      if (stream.status === 200) {
        this.#preferred = masters.indexOf(master)
        return { master, stream }
      }
      stream.close()
      if (stream.status !== 307) {
        throw new SubscriptionRefused(`${master.masterId} answered ${stream.status}`)
      }
      master = this.#redirected(master, stream)
    }
    throw new SubscriptionRefused('the masters sent us round in a circle')
  }

  /** Only to a master we know: our token goes along. */
  #redirected(from: MasterUrls, { headers }: HttpStream): MasterUrls {
    const to = new URL(headers.location ?? '', from.mesos)
    const found = this.#known.all.find(({ mesos }) => new URL(mesos).host === to.host)
    if (found !== undefined) return found
    throw new SubscriptionRefused(`${from.masterId} sent us to ${to.host}, which is none of ours`)
  }

  #subscribeCall(): object {
    const { name = 'conclave', failoverTimeoutSeconds = week, account } = this.#options
    const id = this.#memory.frameworkId
    const known = id === undefined ? {} : { value: id }
    return {
      type: 'SUBSCRIBE',
      ...(id !== undefined && { framework_id: known }),
      subscribe: {
        framework_info: {
          ...(id !== undefined && { id: known }),
          user: account.uid,
          principal: account.uid,
          name,
          failover_timeout: failoverTimeoutSeconds,
          checkpoint: true,
        },
      },
    }
  }

  async #listen(subscription: Subscription): Promise<void> {
    for await (const record of subscription.records()) {
      const heard = hear(record)
      switch (heard.kind) {
        case 'subscribed':
          await this.#memory.keep(heard.frameworkId)
          subscription.begin(heard, (pending) => this.#step({ kind: 'pending', pending }))
          this.#log.info(
            { frameworkId: heard.frameworkId, masterId: subscription.master.masterId },
            'subscribed',
          )
          this.#step({ kind: 'subscribed', frameworkId: heard.frameworkId })
          this.#backoff.reset()
          this.#firstSubscription.resolve()
          void this.#learn(subscription.master)
          break
        case 'error':
          if (/removed/i.test(heard.message)) await this.#memory.forget()
          throw new SubscriptionRefused(heard.message)
        case 'offers':
        case 'update':
          this.#step(heard)
          break
        case 'other':
          break
      }
    }
  }

  #tick(): void {
    this.#step({ kind: 'tick' })
    const master = this.#subscription?.master
    if (++this.#ticks % learnEveryTicks === 0 && master !== undefined) void this.#learn(master)
  }

  /** Masters come and go: who knew only the first ones would find nobody one day. */
  async #learn(master: MasterUrls): Promise<void> {
    try {
      const { status, body } = await this.#session.request(master, {
        method: 'GET',
        url: new URL('/conclave/v1/masters', master.conclave).href,
        signal: this.#stopping.signal,
      })
      if (status === 200) await this.#known.hear(hearMasters(body))
    } catch (error) {
      if (!this.#stopping.signal.aborted)
        this.#log.debug({ err: error }, 'the masters are not told')
    }
  }

  #step(input: FrameworkInput): void {
    this.#actor.step(input)
    for (const { call } of this.#actor.takeEffects()) this.#subscription?.send(call)
  }
}

type PendingListener = (pending: ReturnType<typeof hearPending>) => void

/** One open SUBSCRIBE stream, the calls that belong to it, and the list of what waits beside it. */
class Subscription {
  readonly master: MasterUrls
  readonly #session: MasterSession
  readonly #stream: HttpStream
  readonly #log: Log
  readonly #closing = new AbortController()
  #frameworkId = ''
  /** Calls go one after the other: REVIVE after SUPPRESS means something else than before it. */
  #sending: Promise<void> = Promise.resolve()
  #silenceMs = 60_000
  #watchdog: NodeJS.Timeout | undefined

  constructor(options: {
    readonly session: MasterSession
    readonly master: MasterUrls
    readonly stream: HttpStream
    readonly log: Log
  }) {
    this.#session = options.session
    this.master = options.master
    this.#stream = options.stream
    this.#log = options.log
  }

  /** What the master says. A master that is silent for four heartbeats is gone. */
  async *records(): AsyncGenerator<Uint8Array> {
    this.#heard()
    try {
      for await (const record of recordsOf(this.#stream.body)) {
        this.#heard()
        yield record
      }
    } finally {
      clearTimeout(this.#watchdog)
    }
  }

  begin(
    heard: { readonly frameworkId: string; readonly heartbeatSeconds: number },
    onPending: PendingListener,
  ): void {
    this.#frameworkId = heard.frameworkId
    this.#silenceMs = heard.heartbeatSeconds * 4 * 1000
    void this.#watchPending(onPending)
  }

  send(call: object): void {
    this.#sending = this.#sending.then(() => this.#post(call))
  }

  close(): void {
    this.#closing.abort()
    this.#stream.close()
  }

  #heard(): void {
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => {
      this.#log.warn({ masterId: this.master.masterId }, 'the master is silent')
      this.close()
    }, this.#silenceMs)
  }

  async #post(call: object): Promise<void> {
    const { signal } = this.#closing
    if (signal.aborted) return
    const { type } = call as { type?: unknown }
    try {
      const { status } = await this.#session.request(this.master, {
        method: 'POST',
        url: new URL('/api/v1/scheduler', this.master.mesos).href,
        headers: { 'mesos-stream-id': String(this.#stream.headers['mesos-stream-id'] ?? '') },
        body: { framework_id: { value: this.#frameworkId }, ...call },
        signal,
      })
      if (status < 300) return
      this.#log.warn({ call: type, status }, 'the master refused a call')
    } catch (error) {
      if (signal.aborted) return
      this.#log.warn({ call: type, err: error }, 'a call did not arrive')
    }
    // What the other calls stand on may not have happened: begin anew, from a fresh list.
    this.close()
  }

  /** The list comes from the leader we are subscribed to, so it knows of every launch it accepted. */
  async #watchPending(onPending: PendingListener): Promise<void> {
    const { signal } = this.#closing
    try {
      const stream = await this.#session.stream(this.master, {
        method: 'GET',
        url: new URL('/conclave/v1/pending', this.master.conclave).href,
        headers: { accept: 'text/event-stream' },
        signal,
      })
      if (stream.status !== 200) {
        stream.close()
        throw new SubscriptionRefused(`no list of what waits: ${stream.status}`)
      }
      for await (const { data } of eventsOf(stream.body)) {
        if (!signal.aborted) onPending(hearPending(data))
      }
    } catch (error) {
      if (!signal.aborted) this.#log.warn({ err: error }, 'lost the list of what waits')
    }
    this.close()
  }
}
