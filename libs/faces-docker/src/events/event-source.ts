import type { Caller, StateNews } from '@conclave/actors'
import { hasMaster, simulatedImagesOf, type Engine } from '../engine.ts'
import { nodesOf } from '../nodes.ts'
import type { ContainerEvents } from './container-events.ts'
import type { EngineEvents } from './event-log.ts'
import { stateEvent, type NodeNews } from './state-events.ts'
import { WorkloadEvents } from './workload-events.ts'

/**
 * Between two attempts to follow a master that does not let us: it may be locked, be setting itself up, or not be
 * there yet. What comes about meanwhile nobody tells, so this is less than a client needs from `swarm init` to the next.
 */
const pauseMs = 20

/**
 * Follows what changes in the cluster for as long as the face is there, so that somebody who asks for the past
 * gets it. Every master tells all of it.
 */
export class EventSource {
  readonly #engine: Engine
  readonly #events: EngineEvents
  readonly #containers: ContainerEvents
  readonly #closing = new AbortController()

  constructor(engine: Engine, events: EngineEvents, containers: ContainerEvents) {
    this.#engine = engine
    this.#events = events
    this.#containers = containers
  }

  begin(): void {
    void this.#keepFollowing(() => this.#followWorkloads())
    void this.#keepFollowing(() => this.#followState())
  }

  end(): void {
    this.#closing.abort()
  }

  get #caller(): Caller {
    return { principal: this.#engine.principal, requestId: 'docker-events' }
  }

  async #keepFollowing(follow: () => Promise<void>): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      // Why it ended does not matter: a machine leaves a swarm, a master is not ready. It is tried again.
      if (hasMaster(this.#engine)) await follow().catch(() => undefined)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs)
        timer.unref()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  async #followWorkloads(): Promise<void> {
    const { master } = this.#engine
    const { clusterId } = master.status()
    const told = new WorkloadEvents(simulatedImagesOf(this.#engine))
    const changes = master.workloads.watch(this.#caller, this.#closing.signal)
    const iterator = changes[Symbol.asyncIterator]()
    // It listens from here on, so that nothing is missed between this and the beginning.
    let next = iterator.next()
    const services = await master.workloads.list(this.#caller)
    told.begin(services, await master.workloads.tasks(this.#caller))
    this.#containers.beginAnew()
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = iterator.next()
      for (const change of value) {
        for (const event of told.told(change, clusterId)) this.#containers.happened(event)
      }
    }
  }

  /** The node that news are about: an agent and a master of one machine are one. */
  async #nodeOf(
    news: NodeNews,
  ): Promise<{ readonly id: string; readonly name: string } | undefined> {
    const nodes = await nodesOf(this.#engine, this.#caller)
    const found = nodes.find(({ is }) => {
      if (news.kind === 'master') return is.master?.masterId === news.masterId
      if (news.kind === 'node') return is.agent?.name === news.name
      return is.agent?.agentId === news.agentId
    })
    return found && { id: found.object.ID, name: found.object.Description.Hostname }
  }

  async #followState(): Promise<void> {
    const { master } = this.#engine
    const { clusterId } = master.status()
    for await (const all of master.news.follow(this.#caller, this.#closing.signal)) {
      const nowMs = Date.now()
      for (const news of all) {
        const node = isOfNode(news) ? await this.#nodeOf(news) : undefined
        const event = stateEvent(news, clusterId, node)
        if (event !== undefined) this.#events.add(event, nowMs)
      }
    }
  }
}

/** News of secrets are many, and wait for nothing. */
const isOfNode = (news: StateNews): news is NodeNews =>
  news.kind !== 'secret' && news.kind !== 'document'
