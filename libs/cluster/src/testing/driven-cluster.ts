import { invariant } from '@conclave/kernel'
import {
  isTerminal,
  MasterEvent,
  MasterInfo,
  MasterResponse,
  Offer,
  parse,
  parseCall,
  parseMasterCall,
  redactShown,
  SchedulerEvent,
  toJson,
  type EventDraft,
  type FromAgent,
  type SchedulerCall,
  type TaskStatus,
  type ToAgent,
} from '@conclave/model'
import { ClusterCore, type Viewer } from '../index.ts'
import type { ClusterEffect, ClusterInput, ClusterLimits, PlainAnswer } from '../index.ts'

type Of<T, K> = Extract<T, { type: K }>

/** A framework's end of its stream. */
export interface Stream {
  readonly uid: string
  readonly streamId: string
  readonly events: SchedulerEvent[]
  /** Offers that it accepted or declined. */
  readonly answered: Set<string>
  isOpen: boolean
}

/** The end of somebody who follows the state. */
export interface Watcher {
  readonly streamId: string
  readonly events: MasterEvent[]
  isOpen: boolean
}

/** An agent's end of its connection. */
export interface Link {
  readonly name: string
  readonly connection: number
  readonly messages: ToAgent[]
  isOpen: boolean
}

/**
 * A cluster core in a world that a test can see through: commits go into a map, messages into lists,
 * and `restart` begins the next term with what was committed.
 */
export class DrivenCluster {
  readonly records = new Map<string, Uint8Array>()
  readonly events: EventDraft[] = []
  readonly effects: ClusterEffect[] = []
  readonly links = new Map<number, Link>()
  readonly streams = new Map<string, Stream>()
  readonly watchers = new Map<string, Watcher>()
  readonly versions = new Map<string, number>()
  readonly forbidden = new Set<string>()
  readonly #limits: Partial<ClusterLimits>
  core: ClusterCore
  nowMs = 1_000_000
  #uuids = 0
  #connections = 0
  #streams = 0

  constructor(limits: Partial<ClusterLimits> = {}) {
    this.#limits = limits
    this.core = this.#begin()
  }

  /** A new term: all connections are gone, and only what was committed is known. */
  restart(): void {
    this.core = this.#begin()
    for (const link of this.links.values()) link.isOpen = false
    for (const stream of this.streams.values()) stream.isOpen = false
  }

  step(input: ClusterInput): void {
    this.core.step(input)
    this.drain()
  }

  tick(count = 1): void {
    for (let done = 0; done < count; done++) {
      this.nowMs += 1000
      this.step({ kind: 'tick' })
    }
  }

  link(name: string): Link {
    const link: Link = { name, connection: this.#connections++, messages: [], isOpen: true }
    this.links.set(link.connection, link)
    return link
  }

  tell(link: Link, message: Extract<ClusterInput, { kind: 'agent-message' }>['message']): void {
    const { connection, name: agentName } = link
    this.step({ kind: 'agent-message', connection, agentName, message })
  }

  register(
    link: Link,
    options: {
      readonly agentId?: string
      readonly resources?: readonly object[]
      readonly tasks?: Of<FromAgent, 'register'>['tasks']
      readonly executors?: Of<FromAgent, 'register'>['executors']
    } = {},
  ): string | undefined {
    const { agentId, resources = machine, tasks = [], executors } = options
    const info = { hostname: `${link.name}.example`, port: 5051, resources, attributes: [] }
    this.tell(link, {
      type: 'register',
      ...(agentId === undefined ? {} : { agentId }),
      info: info as unknown as Of<FromAgent, 'register'>['info'],
      runtime: 'memory',
      tasks,
      executors,
    })
    return link.messages.findLast((message) => message.type === 'registered')?.agentId
  }

  /** A machine that just registered for the first time. */
  agent(name = 'agent-1', resources: readonly object[] = machine): { link: Link; agentId: string } {
    const link = this.link(name)
    const agentId = this.register(link, { resources })
    invariant(agentId !== undefined, 'the agent was registered')
    return { link, agentId }
  }

  hangUp(link: Link): void {
    link.isOpen = false
    this.step({ kind: 'agent-disconnected', connection: link.connection })
  }

  subscribe(
    uid: string,
    info: object = {},
    rest: object = {},
  ): { stream: Stream; answer: PlainAnswer | undefined } {
    const stream: Stream = {
      uid,
      streamId: `stream-${this.#streams++}`,
      events: [],
      answered: new Set(),
      isOpen: true,
    }
    this.streams.set(stream.streamId, stream)
    const call = parseCall({
      type: 'SUBSCRIBE',
      subscribe: { framework_info: { user: 'root', name: uid, ...info }, ...rest },
      framework_id: (info as { id?: unknown }).id,
    })
    const answer = this.core.subscribe(uid, call, stream.streamId)
    this.drain()
    return { stream, answer }
  }

  /** A framework that just subscribed for the first time. */
  framework(uid = 'scheduler', info: object = {}): Stream & { frameworkId: string } {
    const { stream } = this.subscribe(uid, info)
    return Object.assign(stream, { frameworkId: frameworkIdOf(stream) })
  }

  leave(stream: Stream): void {
    stream.isOpen = false
    this.step({ kind: 'framework-disconnected', streamId: stream.streamId })
  }

  /** A call of the framework on this stream, in Mesos' JSON, or parsed already. */
  call(stream: Stream & { frameworkId: string }, json: object): PlainAnswer {
    const call = { ...parseCall(json), framework_id: { value: stream.frameworkId } }
    const answered = (call.accept ?? call.decline)?.offer_ids ?? []
    for (const { value } of answered) stream.answered.add(value)
    return this.callAs(stream.uid, stream.streamId, call)
  }

  callAs(uid: string, streamId: string | undefined, call: SchedulerCall): PlainAnswer {
    const answer = this.core.call(uid, call, streamId)
    this.drain()
    return answer
  }

  /** Accepts everything that is offered now, to launch `tasks` with it. */
  launch(stream: Stream & { frameworkId: string }, ...tasks: readonly object[]): void {
    const offers = openOffers(stream)
    const agentId = offers[0]?.agent_id
    this.call(stream, {
      type: 'ACCEPT',
      accept: {
        offer_ids: offers.map(({ id }) => id),
        operations: [
          {
            type: 'LAUNCH',
            launch: { task_infos: tasks.map((task) => ({ agent_id: agentId, ...task })) },
          },
        ],
        filters: { refuse_seconds: 0 },
      },
    })
  }

  report(
    link: Link,
    launched: { readonly frameworkId: string; readonly taskId: string },
    state: TaskStatus['state'],
    more: Partial<TaskStatus> = {},
  ): string {
    const uuid = more.uuid ?? this.uuid()
    const { frameworkId, taskId } = launched
    const status: TaskStatus = {
      task_id: { value: taskId },
      state,
      source: 'SOURCE_EXECUTOR',
      ...more,
      uuid,
    }
    this.tell(link, { type: 'status-update', frameworkId, status })
    return uuid
  }

  acknowledge(
    stream: Stream & { frameworkId: string },
    status: TaskStatus | undefined,
  ): PlainAnswer {
    invariant(status !== undefined, 'there is a status to acknowledge')
    const { agent_id: agentId, task_id: taskId, uuid } = status
    return this.call(stream, {
      type: 'ACKNOWLEDGE',
      acknowledge: { agent_id: agentId, task_id: taskId, uuid },
    })
  }

  operator(
    call: object,
    viewer: Viewer = { uid: 'operator', isOperator: true },
  ): PlainAnswer | { readonly status: 200; readonly json: unknown } {
    const answer = this.core.operator(viewer, parseMasterCall(call))
    this.drain()
    if (!('response' in answer)) return answer
    return { status: answer.status, json: toJson(MasterResponse, answer.response) }
  }

  /** Follows the state. */
  watch(viewer: Viewer = { uid: 'operator', isOperator: true }): Watcher {
    const watcher = { streamId: `watcher-${this.watchers.size}`, events: [], isOpen: true }
    this.watchers.set(watcher.streamId, watcher)
    this.core.watch(viewer, watcher.streamId)
    this.drain()
    return watcher
  }

  /** The payload of an operator read. */
  read(type: string, viewer?: Viewer): unknown {
    const answer = this.operator({ type }, viewer)
    invariant('json' in answer, `${type} is answered with JSON`)
    return (answer.json as Record<string, unknown>)[type.toLowerCase()]
  }

  /** A fresh base64 UUID of version 4. */
  uuid(): string {
    const bytes = new Uint8Array(16)
    new DataView(bytes.buffer).setUint32(0, ++this.#uuids)
    bytes[6] = 0x40
    bytes[8] = 0x80
    return Buffer.from(bytes).toString('base64')
  }

  keys(prefix: string): readonly string[] {
    return [...this.records.keys()].filter((key) => key.startsWith(prefix)).toSorted()
  }

  drain(): void {
    for (const effect of this.core.takeEffects()) {
      this.effects.push(effect)
      this.#carryOut(effect)
    }
  }

  #carryOut(effect: ClusterEffect): void {
    switch (effect.do) {
      case 'commit':
        for (const { key, value } of effect.changes) {
          if (value === undefined) this.records.delete(key)
          else this.records.set(key, value)
        }
        return
      case 'send-agent':
        this.links.get(effect.connection)?.messages.push(effect.message)
        return
      case 'close-agent': {
        const link = this.links.get(effect.connection)
        if (link !== undefined) link.isOpen = false
        return
      }
      case 'send-framework':
        this.streams.get(effect.streamId)?.events.push(effect.event)
        return
      case 'close-framework': {
        const stream = this.streams.get(effect.streamId)
        if (stream !== undefined) stream.isOpen = false
        return
      }
      case 'send-operator':
        this.watchers.get(effect.streamId)?.events.push(effect.event)
        return
      case 'close-operator': {
        const watcher = this.watchers.get(effect.streamId)
        if (watcher !== undefined) watcher.isOpen = false
        return
      }
      case 'emit':
        this.events.push(effect.event)
    }
  }

  #begin(): ClusterCore {
    let uuids = 0
    return new ClusterCore({
      clusterId: 'M',
      masterInfo: parse(MasterInfo, { id: 'm-1', ip: 0x0100007f, port: 5050 }),
      records: Array.from(this.records, ([key, value]) => ({ key, value })),
      surroundings: {
        nowMs: () => this.nowMs,
        uuid: () => `00000000-0000-4000-8000-${this.nowMs}${uuids++}`,
        secretVersion: (path) => this.versions.get(path) ?? null,
        show: (kind, value) => toJson(kind, redactShown(kind, value)),
        mayRead: (_uid, path) => !this.forbidden.has(path),
      },
      limits: this.#limits,
    })
  }
}

export const scalar = (name: string, value: number): object => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  reservations: [],
})

export const ports = (begin: number, end: number): object => ({
  name: 'ports',
  type: 'RANGES',
  ranges: { range: [{ begin, end }] },
  reservations: [],
})

const machine = [scalar('cpus', 4), scalar('mem', 4096), ports(31_000, 31_009)]

/** A command task that wants little. */
export const command = (taskId: string, more: object = {}): object => ({
  name: taskId,
  task_id: { value: taskId },
  resources: [scalar('cpus', 0.5), scalar('mem', 64)],
  command: { value: 'true' },
  ...more,
})

export const referring = (...names: readonly string[]): object => ({
  command: {
    value: 'true',
    environment: {
      variables: names.map((name, index) => ({
        name: `SECRET_${index}`,
        type: 'SECRET',
        secret: { type: 'REFERENCE', reference: { name } },
      })),
    },
  },
})

export function frameworkIdOf({ events }: Stream): string {
  const subscribed = events.find(({ type }) => type === 'SUBSCRIBED')?.subscribed
  invariant(subscribed !== undefined, 'the framework was subscribed')
  return subscribed.framework_id.value
}

export const updatesOf = ({ events }: Stream): readonly TaskStatus[] =>
  events.flatMap(({ update }) => (update === undefined ? [] : [update.status]))

/** The offers that a framework was made, has not answered, and that stand. */
export function openOffers({ events, answered }: Stream): readonly Offer[] {
  const rescinded = new Set(events.map(({ rescind }) => rescind?.offer_id.value))
  return events
    .flatMap(({ offers }) => offers?.offers ?? [])
    .filter(({ id }) => !answered.has(id.value) && !rescinded.has(id.value))
}

/** Every launch that an agent was told, those of groups among them. */
export const launchesOf = ({ messages }: Link): readonly Of<ToAgent, 'launch'>[] =>
  messages.flatMap((message): Of<ToAgent, 'launch'>[] => {
    if (message.type === 'launch') return [message]
    if (message.type !== 'launch-group') return []
    const { frameworkId, framework, tasks } = message
    return tasks.map((one) => ({ type: 'launch', frameworkId, framework, ...one }))
  })

export const terminalsOf = (stream: Stream): readonly TaskStatus[] =>
  updatesOf(stream).filter(({ state }) => isTerminal(state))
