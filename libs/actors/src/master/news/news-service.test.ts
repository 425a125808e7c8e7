import { utf8 } from '@conclave/kernel'
import { encodeCommand, StoreMachine, type Op } from '@conclave/store'
import { ManualClock } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAudit } from '../../testing/memory-audit.ts'
import { callerOf } from '../../testing/people.ts'
import { Access } from '../access.ts'
import { AccessDenied } from '../errors.ts'
import { secretIdOf } from '../secret-index.ts'
import type { StateNews } from './news-api.ts'
import { NewsService } from './news-service.ts'

const root = callerOf('root')

let mayFollow: boolean
let store: StoreMachine
let news: NewsService

beforeEach(() => {
  mayFollow = true
  store = new StoreMachine()
  const access = new Access({
    identity: { allowed: () => mayFollow, isSuperuser: () => mayFollow },
    audit: new MemoryAudit(),
    clock: new ManualClock(),
    emit: () => undefined,
  })
  news = new NewsService('a cluster', access)
  store.onBatch((batch) => news.told(batch))
})

/** The revision after it. */
function change(...success: readonly Op[]): number {
  return store.apply(encodeCommand({ compare: [], success, failure: [], nowMs: 1 })).revision
}

const put = (key: string, record: object = {}): Op => ({
  do: 'put',
  key,
  value: utf8(JSON.stringify(record)),
})

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

/** Whoever follows from now on, and what they have heard once `act` is done. */
async function heardOf(act: () => void | Promise<void>): Promise<readonly StateNews[]> {
  const stop = new AbortController()
  const heard: StateNews[] = []
  const following = (async () => {
    for await (const all of news.follow(root, stop.signal)) heard.push(...all)
  })()
  await turn()
  await act()
  await turn()
  stop.abort()
  await following
  return heard
}

const agentRecord = (state: string): object => ({
  agentId: 'a-S0',
  info: { hostname: 'host' },
  state,
})

describe('MA64: news of the state', () => {
  test('tell what became of a secret, under the id that it has from its creation on', async () => {
    let created = 0
    const heard = await heardOf(() => {
      created = change(put('secret/dev/db'))
      change(put('secret/dev/db'))
      change({ do: 'delete', key: 'secret/dev/db' })
    })
    const id = secretIdOf('a cluster', 'dev/db', created)
    expect(heard.map((one) => ({ ...one, id: 'id' in one ? one.id : '' }))).toMatchObject(
      ['created', 'updated', 'removed'].map((what) => ({
        kind: 'secret',
        change: what,
        path: 'dev/db',
        id,
      })),
    )
  })

  test('name documents by their kind, and nothing of what is in them', async () => {
    const record = { name: 'net', createdAtMs: 1, updatedAtMs: 1, body: { text: 'of its own' } }
    const heard = await heardOf(() => {
      change(put('document/docker-network/n1', record))
      change({ do: 'delete', key: 'document/docker-network/n1' })
    })
    const document = { kind: 'document', of: 'docker-network', id: 'n1', name: 'net' }
    expect(heard).toEqual([
      { ...document, change: 'created' },
      { ...document, change: 'removed' },
    ])
  })

  test('say of agents, nodes and masters what turned into what', async () => {
    const member = { masterId: 'm1', nodeId: 1, listeners: {} }
    const heard = await heardOf(() => {
      change(put('cluster/agents/a-S0', agentRecord('active')))
      change(put('cluster/agents/a-S0', agentRecord('unreachable')))
      change(put('workloads/node/a', { name: 'a', availability: 'drain' }))
      change(put('workloads/node/a', { name: 'a', role: 'manager' }))
      change(put('masters/member/m1', { ...member, role: 'learner' }))
      change(put('masters/member/m1', { ...member, role: 'voter' }))
      change(put('masters/member/m1', { ...member, state: 'removed' }))
      // Once more, of who was removed before: nobody's news.
      change(put('masters/member/m1', { ...member, state: 'removed' }))
    })
    const none = undefined
    expect(heard).toMatchObject([
      { kind: 'agent', change: 'created', state: { before: none, after: 'ready' } },
      { kind: 'agent', change: 'updated', state: { before: 'ready', after: 'down' } },
      { kind: 'node', change: 'created', availability: { before: none, after: 'drain' } },
      { kind: 'node', change: 'updated', role: { before: 'worker', after: 'manager' } },
      { kind: 'master', change: 'created', role: { before: none, after: 'learner' } },
      { kind: 'master', change: 'updated', role: { before: 'learner', after: 'voter' } },
      { kind: 'master', change: 'removed', role: { before: 'voter', after: none } },
    ])
  })

  test('leave out what was before, and what is nobody’s to hear of', async () => {
    change(put('secret/before'))
    const heard = await heardOf(() => {
      change(put('envelope/dev/db@1'), put('keys/unlock'), put('run/r1'), put('secret-last/dev/db'))
    })
    expect(heard).toEqual([])
  })

  test('come to each who follows, all since their last look at once, the oldest missing', async () => {
    const stop = new AbortController()
    const slow = news.follow(root, stop.signal)[Symbol.asyncIterator]()
    const first = slow.next()
    await turn()
    const heard = await heardOf(async () => {
      change(put('secret/one'))
      await turn()
      for (let count = 0; count < 5000; count++) change(put(`secret/${count}`))
    })
    expect(heard.length).toBe(4097)
    expect((await first).value).toMatchObject([{ path: 'one' }])
    const { value } = (await slow.next()) as { value: readonly StateNews[] }
    expect([value.length, value[0], value.at(-1)]).toMatchObject([
      4096,
      { path: '904' },
      { path: '4999' },
    ])
    stop.abort()
    await slow.return?.()
  })

  test('are for operators, as long as they are some', async () => {
    const following = news.follow(root, new AbortController().signal)[Symbol.asyncIterator]()
    const next = following.next()
    await turn()
    mayFollow = false
    change(put('secret/dev/db'))
    await expect(next).rejects.toThrow(AccessDenied)
  })
})
