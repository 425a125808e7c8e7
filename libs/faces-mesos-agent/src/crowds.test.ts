import { signExecutorToken } from '@conclave/crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

/*
 * Calls of very many parts. Were any part compared with all others, these would not end before the time
 * that a test has.
 */

let front: Front
afterEach(() => front.app.close())

const many = <T>(make: (index: number) => T): readonly T[] =>
  Array.from({ length: 20_000 }, (_, index) => make(index))

const inline = { type: 'VALUE', value: { data: 'dg==' } }
const inVolume = (index: number) => ({
  mode: 'RO',
  container_path: `a/b/c/p${index}`,
  source: { type: 'SECRET', secret: inline },
})
const command = { value: 'x' }
const variables = (make: (index: number) => object) => ({
  command: { ...command, environment: { variables: many(make) } },
})

function status(index: number, more: object = {}): object {
  const uuid = Buffer.alloc(16, 0x80)
  uuid.writeUInt32BE(index)
  uuid[6] = 0x40
  const own = { task_id: { value: 't1' }, state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR' }
  return { status: { ...own, uuid: uuid.toString('base64'), ...more } }
}

const parts = {
  variables: variables((index) => ({ name: `A${index}`, value: 'v' })),
  'secrets as variables': variables((index) => {
    return { name: `A${index}`, type: 'SECRET', secret: inline }
  }),
  'secrets as one variable': variables(() => ({ name: 'A', type: 'SECRET', secret: inline })),
  volumes: { command, container: { type: 'MESOS', volumes: many(inVolume) } },
  'volumes in a contradiction': {
    command,
    container: { type: 'MESOS', docker: { image: 'i' }, volumes: many(inVolume) },
  },
  'volumes of the host': {
    command,
    container: {
      type: 'MESOS',
      volumes: many((index) => {
        return { mode: 'RW', container_path: `p${index}`, host_path: '/x' }
      }),
    },
  },
  URIs: {
    command: {
      ...command,
      uris: many((index) => ({
        value: `http://h/${index}`,
        secrets: { authorization: inline },
      })),
    },
  },
  arguments: { command: { ...command, shell: false, arguments: many((index) => `a${index}`) } },
  resources: {
    command,
    resources: many((index) => ({ name: `r${index}`, type: 'SCALAR', scalar: { value: 1 } })),
  },
  limits: { command, limits: Object.fromEntries(many((index) => [`r${index}`, { value: 1 }])) },
  networks: {
    command,
    container: { type: 'MESOS', network_infos: many((index) => ({ name: `n${index}` })) },
  },
}

describe('FA9: a call of very many parts is answered', { timeout: 60_000 }, () => {
  test.each(Object.entries(parts))('a container with %s', async (_, part) => {
    front = new Front({}, { isQuiet: true })
    front.launch()
    front.tell({ kind: 'prepared', containerId: 'c-t1' })
    const [alone, parent] = [{ value: 'alone' }, { value: 'c-t1' }]
    const asked = {
      LAUNCH_CONTAINER: alone,
      LAUNCH_NESTED_CONTAINER: { value: 'nested', parent },
    }
    for (const [type, container_id] of Object.entries(asked)) {
      const answer = await front.ask('/api/v1', {
        type,
        [type.toLowerCase()]: { container_id, ...part },
      })
      expect([200, 400]).toContain(answer.status)
    }
  })

  test.each([
    ['parents', `{"value":"a","parent":`.repeat(20_000), '}'.repeat(20_000)],
    ['characters', `{"value":"${'a'.repeat(20_000)}`, '"}'],
  ])('an id of very many %s', async (_, before, after) => {
    front = new Front({}, { isQuiet: true })
    const id = after.startsWith('"') ? before + after : `${before}{"value":"a"}${after}`
    const body = `{"type":"WAIT_CONTAINER","wait_container":{"container_id":${id}}}`
    expect((await front.ask('/api/v1', body)).status).toBe(400)
  })

  test.each(['labels', 'resources', 'updates'])('an executor that sends %s', async (what) => {
    front = new Front({}, { isQuiet: true })
    front.launch()
    front.tell({ kind: 'prepared', containerId: 'c-t1' })
    const token = signExecutorToken(front.key, { fid: 'f1', eid: 'e1', cid: 'c-t1' })
    const labels = { labels: many((index) => ({ key: `k${index}`, value: 'v' })) }
    const limitation = {
      resources: many((index) => ({ name: `r${index}`, type: 'SCALAR', scalar: { value: 1 } })),
    }
    const more = { labels: { labels }, resources: { limitation }, updates: {} }[what] ?? {}
    const call =
      what === 'updates'
        ? { type: 'SUBSCRIBE', subscribe: { unacknowledged_updates: many((one) => status(one)) } }
        : { type: 'UPDATE', update: status(1, more) }
    const ids = { framework_id: { value: 'f1' }, executor_id: { value: 'e1' } }
    const headers = { authorization: `Bearer ${token}`, accept: 'text/html' }

    // What may not be answered in any form is read and checked all the same, and opens no stream.
    const { status: answered } = await front.ask('/api/v1/executor', { ...ids, ...call }, headers)

    expect([202, 403, 406]).toContain(answered)
  })
})
