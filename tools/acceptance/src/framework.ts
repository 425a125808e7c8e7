import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Conclave, Master } from './conclave.ts'
import { until } from './until.ts'

export interface Offer {
  readonly id: { readonly value: string }
  readonly agent_id: { readonly value: string }
  readonly hostname: string
  readonly resources?: readonly { readonly name: string; readonly scalar?: { value: number } }[]
}

export interface TaskStatus {
  readonly task_id: { readonly value: string }
  readonly agent_id?: { readonly value: string }
  readonly state: string
  readonly reason?: string
  readonly message?: string
  readonly source?: string
  readonly uuid?: string
}

export interface SchedulerEvent {
  readonly type: string
  readonly subscribed?: {
    readonly framework_id: { readonly value: string }
    readonly heartbeat_interval_seconds: number
  }
  readonly offers?: { readonly offers: readonly Offer[] }
  readonly rescind?: { readonly offer_id: { readonly value: string } }
  readonly update?: { readonly status: TaskStatus }
  readonly error?: { readonly message: string }
  /** From an executor; base64. */
  readonly message?: { readonly data: string }
}

export interface FrameworkInfo {
  readonly name: string
  readonly frameworkId?: string
  readonly failoverTimeoutSeconds?: number
  readonly checkpoint?: boolean
}

export interface PlainAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/**
 * A framework that shares no code with the house: Node's HTTP client and a RecordIO reader of ten
 * lines. It acknowledges what it is told, as every framework must, unless it is asked not to.
 */
export class Framework {
  readonly events: SchedulerEvent[] = []
  readonly #master: Master
  readonly #token: string
  readonly #streamId: string
  readonly #request: ClientRequest
  readonly #gone = new Set<string>()
  #received = Buffer.alloc(0)
  #isOpen = true
  acknowledges = true

  private constructor(master: Master, token: string, sent: ClientRequest, answer: IncomingMessage) {
    this.#master = master
    this.#token = token
    this.#request = sent
    this.#streamId = String(answer.headers['mesos-stream-id'])
    answer.on('data', (chunk: Buffer) => this.#read(chunk))
    answer.on('error', () => undefined)
    answer.once('close', () => (this.#isOpen = false))
  }

  /** Subscribes at the leader and waits for SUBSCRIBED. */
  static async subscribe(cluster: Conclave, info: FrameworkInfo): Promise<Framework> {
    const framework = await until(`${info.name} is subscribed`, async () => {
      const master = await cluster.leader()
      const token = await cluster.token()
      const { sent, answer } = await open(master, token, subscription(info))
      if (answer.statusCode === 200) return new Framework(master, token, sent, answer)
      sent.destroy()
      return undefined
    })
    await framework.event('SUBSCRIBED')
    return framework
  }

  get id(): string {
    const event = this.events.find(({ type }) => type === 'SUBSCRIBED')
    return event?.subscribed?.framework_id.value ?? ''
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** All statuses of a task, in the order in which they came, each once. */
  statusesOf(taskId: string): readonly TaskStatus[] {
    const seen = new Set<string>()
    return this.events.flatMap(({ update }) => {
      if (update?.status.task_id.value !== taskId) return []
      const { uuid } = update.status
      if (uuid !== undefined && seen.has(uuid)) return []
      if (uuid !== undefined) seen.add(uuid)
      return [update.status]
    })
  }

  /** The next event of this type from the `from`th event on, now or later. */
  event(type: string, from = 0): Promise<SchedulerEvent> {
    return until(`the framework hears ${type}`, () =>
      this.events.slice(from).find((event) => event.type === type),
    )
  }

  /** The first status of a task that is in `state`. */
  status(taskId: string, state: string): Promise<TaskStatus> {
    return until(`${taskId} is ${state}`, () => {
      const statuses = this.statusesOf(taskId)
      const last = statuses.at(-1)
      const found = statuses.find((status) => status.state === state)
      if (found === undefined && last !== undefined && isTerminal(last.state)) {
        throw new Error(`${taskId} is ${last.state}: ${last.reason} ${last.message}`)
      }
      return found
    })
  }

  /** An offer that is still good, and is from now on whoever asked for it. */
  offer(): Promise<Offer> {
    return until('there is an offer', () => {
      for (const { rescind } of this.events) if (rescind) this.#gone.add(rescind.offer_id.value)
      const all = this.events.flatMap(({ offers }) => offers?.offers ?? [])
      const good = all.find(({ id }) => !this.#gone.has(id.value))
      if (good !== undefined) this.#gone.add(good.id.value)
      return good
    })
  }

  /** An offer with so many CPUs in one piece: what tasks have left comes back in pieces, which go back. */
  async roomyOffer(cpus: number): Promise<Offer> {
    for (;;) {
      const offer = await this.offer()
      const { scalar } = offer.resources?.find(({ name }) => name === 'cpus') ?? {}
      if ((scalar?.value ?? 0) >= cpus) return offer
      await this.call('DECLINE', {
        decline: { offer_ids: [offer.id], filters: { refuse_seconds: 0 } },
      })
    }
  }

  /** Any call but SUBSCRIBE. */
  async call(type: string, part: object = {}, streamId = this.#streamId): Promise<PlainAnswer> {
    const call = { framework_id: { value: this.id }, type, ...part }
    const { answer } = await open(this.#master, this.#token, call, { 'mesos-stream-id': streamId })
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await textOf(answer) }
  }

  /** Launches tasks on one offer, any or one with so many CPUs, and refuses no later ones for it. */
  async launch(tasks: readonly object[], cpus = 0): Promise<Offer> {
    const { id, agent_id, hostname } = await this.roomyOffer(cpus)
    await this.call('ACCEPT', {
      accept: {
        offer_ids: [id],
        operations: [
          { type: 'LAUNCH', launch: { task_infos: tasks.map((task) => ({ ...task, agent_id })) } },
        ],
        filters: { refuse_seconds: 0 },
      },
    })
    return { id, agent_id, hostname }
  }

  acknowledge({ task_id, agent_id, uuid }: TaskStatus): Promise<PlainAnswer> {
    return this.call('ACKNOWLEDGE', { acknowledge: { task_id, agent_id, uuid } })
  }

  /** Goes away without a word. */
  close(): void {
    this.#request.destroy()
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (;;) {
      const newline = this.#received.indexOf('\n')
      const end = newline + 1 + Number(this.#received.subarray(0, newline).toString('latin1'))
      if (newline === -1 || this.#received.length < end) return
      this.#hear(JSON.parse(this.#received.subarray(newline + 1, end).toString()) as SchedulerEvent)
      this.#received = this.#received.subarray(end)
    }
  }

  #hear(event: SchedulerEvent): void {
    this.events.push(event)
    if (event.update?.status.uuid !== undefined && this.acknowledges) {
      this.acknowledge(event.update.status).catch(() => undefined)
    }
  }
}

export const subscription = (info: FrameworkInfo) => {
  const { name, frameworkId, failoverTimeoutSeconds, checkpoint } = info
  const id = frameworkId === undefined ? {} : { id: { value: frameworkId } }
  return {
    type: 'SUBSCRIBE',
    ...(frameworkId !== undefined && { framework_id: { value: frameworkId } }),
    subscribe: {
      framework_info: {
        user: 'root',
        name,
        ...id,
        failover_timeout: failoverTimeoutSeconds ?? 0,
        ...(checkpoint !== undefined && { checkpoint }),
      },
    },
  }
}

const isTerminal = (state: string): boolean =>
  /^TASK_(FINISHED|FAILED|KILLED|LOST|ERROR|DROPPED|GONE)$/.test(state)

/** One request to the scheduler API of a master; the answer's body is still to be read. */
async function open(
  master: Master,
  token: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ sent: ClientRequest; answer: IncomingMessage }> {
  const sent = request(new URL('/api/v1/scheduler', master.listeners['mesos']), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `token=${token}`,
      ...headers,
    },
  })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.on('error', reject)
  })
  sent.end(JSON.stringify(body))
  return { sent, answer: await answer }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
