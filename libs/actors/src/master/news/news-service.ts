import { decodeRecord } from '@conclave/model'
import type { WatchBatch } from '@conclave/store'
import { nodePrefix, NodeSettings } from '@conclave/workloads'
import { z } from 'zod'
import { Signal } from '../../signal.ts'
import type { Access } from '../access.ts'
import { documentPlaceOf, DocumentRecord } from '../documents/document-records.ts'
import type { Caller } from '../master-api.ts'
import { memberPrefix, MemberRecord } from '../master-records.ts'
import { operatorResource } from '../resources.ts'
import { secretIdOf } from '../secret-index.ts'
import { secretPrefix } from '../secret-records.ts'
import { nodeState } from '../workloads/node-service.ts'
import type { NewsApi, NewsChange, StateNews } from './news-api.ts'

/** What one follower may leave unread. */
const unreadMax = 4096
const agentPrefix = 'cluster/agents/'

const AgentNamed = z.object({
  agentId: z.string(),
  info: z.object({ hostname: z.string() }),
  state: z.enum(['active', 'disconnected', 'unreachable']),
})

type StoreEvent = WatchBatch['events'][number]

/** Makes news of what every master applies, so that each of them tells all of it. */
export class NewsService implements NewsApi {
  readonly #clusterId: string
  readonly #access: Access
  readonly #followers = new Set<StateNews[]>()
  readonly #grown = new Signal()

  constructor(clusterId: string, access: Access) {
    this.#clusterId = clusterId
    this.#access = access
  }

  follow(caller: Caller, signal: AbortSignal): AsyncIterable<readonly StateNews[]> {
    const valid = this.#access.whileValid(caller, signal)
    return this.#access.whileAllowed(caller, operatorResource, 'full', this.#read(valid))
  }

  told({ events }: WatchBatch): void {
    if (this.#followers.size === 0) return
    let isNews = false
    for (const event of events) {
      const news = this.#newsOf(event)
      if (news === undefined) continue
      isNews = true
      for (const unread of this.#followers) {
        unread.push(news)
        if (unread.length > unreadMax) unread.shift()
      }
    }
    if (isNews) this.#grown.raise()
  }

  async *#read(signal: AbortSignal): AsyncGenerator<readonly StateNews[]> {
    const unread: StateNews[] = []
    this.#followers.add(unread)
    try {
      while (!signal.aborted) {
        if (unread.length === 0) await this.#grown.wait(signal)
        else yield unread.splice(0)
      }
    } finally {
      this.#followers.delete(unread)
    }
  }

  #newsOf(event: StoreEvent): StateNews | undefined {
    const { key } = event
    if (key.startsWith(secretPrefix)) return this.#secretNews(event)
    const document = documentPlaceOf(key)
    if (document !== undefined) {
      const value = valueOf(event)
      const record = value && decodeRecord(DocumentRecord, key, value)
      if (record === undefined) return undefined
      const { kind: of, id } = document
      return { kind: 'document', change: changeOf(event), of, id, name: record.name }
    }
    if (key.startsWith(agentPrefix)) return agentNews(event)
    if (key.startsWith(nodePrefix)) return nodeNews(event)
    return key.startsWith(memberPrefix) ? masterNews(event) : undefined
  }

  #secretNews(event: StoreEvent): StateNews | undefined {
    const path = event.key.slice(secretPrefix.length)
    const created = event.type === 'put' ? event.kv : event.previous
    if (created === undefined) return undefined
    return new SecretNews(this.#clusterId, changeOf(event), path, created.createRevision)
  }
}

/** What a record was before an event, and what it is after it. */
function sidesOf<T>(
  event: StoreEvent,
  schema: z.ZodType<T>,
): readonly [T | undefined, T | undefined] {
  const { key, previous } = event
  return [
    previous && decodeRecord(schema, key, previous.value),
    event.type === 'put' ? decodeRecord(schema, key, event.kv.value) : undefined,
  ]
}

function agentNews(event: StoreEvent): StateNews | undefined {
  const [before, after] = sidesOf(event, AgentNamed)
  const agent = after ?? before
  if (agent === undefined) return undefined
  const { agentId, info } = agent
  const state = {
    before: before && nodeState(before.state),
    after: after && nodeState(after.state),
  }
  return { kind: 'agent', change: changeOf(event), agentId, hostname: info.hostname, state }
}

function nodeNews(event: StoreEvent): StateNews | undefined {
  const [before, after] = sidesOf(event, NodeSettings)
  const name = (after ?? before)?.name
  if (name === undefined) return undefined
  return {
    kind: 'node',
    change: changeOf(event),
    name,
    availability: { before: before?.availability, after: after?.availability },
    role: { before: before?.role, after: after?.role },
  }
}

/** A master that was removed stays on record for ever. */
function masterNews(event: StoreEvent): StateNews | undefined {
  const [was, is] = sidesOf(event, MemberRecord)
  const before = was?.state === 'member' ? was : undefined
  const after = is?.state === 'member' ? is : undefined
  const member = after ?? before
  if (member === undefined) return undefined
  return {
    kind: 'master',
    change: before === undefined ? 'created' : after === undefined ? 'removed' : 'updated',
    masterId: member.masterId,
    role: { before: before?.role, after: after?.role },
  }
}

/** Whoever follows, follows every write, and asks for the ids of few. */
class SecretNews {
  readonly kind = 'secret'
  readonly change: NewsChange
  readonly path: string
  readonly #clusterId: string
  readonly #createRevision: number

  constructor(clusterId: string, change: NewsChange, path: string, createRevision: number) {
    this.#clusterId = clusterId
    this.change = change
    this.path = path
    this.#createRevision = createRevision
  }

  get id(): string {
    return secretIdOf(this.#clusterId, this.path, this.#createRevision)
  }
}

function changeOf(event: StoreEvent): NewsChange {
  if (event.type === 'delete') return 'removed'
  return event.kv.createRevision === event.kv.modRevision ? 'created' : 'updated'
}

const valueOf = (event: StoreEvent): Uint8Array | undefined =>
  (event.type === 'put' ? event.kv : event.previous)?.value
