import { canary, expectNoLeak } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

let front: Front | undefined
afterEach(() => front?.app.close())

const planted = canary('inline')
const data = Buffer.from(planted.bytes).toString('base64')

/** Everything that a state endpoint of an agent shows, with one command task that has inline values. */
async function surfaces(faithfulLeaks: boolean): Promise<Record<string, string>> {
  front = new Front({ faithfulLeaks })
  const value = { type: 'VALUE', value: { data } }
  const reference = { type: 'REFERENCE', reference: { name: 'dev/db', key: 'password' } }
  // As an operator gives it: the masters' own launches have their values sealed.
  await front.ask('/api/v1', {
    type: 'LAUNCH_CONTAINER',
    launch_container: {
      container_id: { value: 'alone' },
      command: {
        value: 'x',
        environment: { variables: [{ name: 'A', type: 'SECRET', secret: value }] },
      },
    },
  })
  const sealed = { type: 'VALUE', value: { sealed: { id: 'i1', envelope: 'ZW52ZWxvcGU=' } } }
  front.launch('t1', 'e1', {
    executor: undefined,
    command: {
      value: 'x',
      environment: {
        variables: [
          { name: 'A', type: 'SECRET', secret: sealed },
          { name: 'B', type: 'SECRET', secret: reference },
        ],
      },
    },
  })
  const told: Record<string, string> = {}
  for (const url of ['/state', '/flags']) {
    told[url] = (await front.ask(url, undefined, {}, 'GET')).body
  }
  for (const type of ['GET_STATE', 'GET_EXECUTORS', 'GET_TASKS', 'GET_CONTAINERS', 'GET_FLAGS']) {
    told[type] = (await front.ask('/api/v1', { type })).body
  }
  return { ...told, log: front.log.text }
}

describe('FA8: the leak map of an agent (mesos.md §21)', () => {
  test('row by row, nothing of a value by default; names and keys as upstream', async () => {
    const told = await surfaces(false)

    expectNoLeak(told, [planted])
    expect(told['GET_EXECUTORS']).toContain('"reference":{"name":"dev/db","key":"password"}')
    expect(told['/state']).toContain('"name":"dev/db"')
    for (const text of Object.values(told)) expect(text).not.toContain('ZW52ZWxvcGU')
  })

  test('an envelope is ours in both modes, and a value unknown to the agent is not made up', async () => {
    const told = await surfaces(true)
    for (const text of Object.values(told)) expect(text).not.toContain('ZW52ZWxvcGU')
    expect(told['GET_EXECUTORS']).toContain('"type":"VALUE"')
  })
})
