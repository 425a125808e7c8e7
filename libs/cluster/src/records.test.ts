import { utf8 } from '@conclave/kernel'
import { RecordUnreadable } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import {
  agentsIn,
  allGrantsIn,
  frameworksIn,
  grantsIn,
  readTask,
  taskIn,
  taskKey,
  tasksIn,
  type RecordReader,
} from './records.ts'
import { command, DrivenCluster, referring } from './testing/driven-cluster.ts'

const readerOf = (records: ReadonlyMap<string, Uint8Array>): RecordReader => ({
  get(key) {
    const value = records.get(key)
    return value === undefined ? undefined : { value }
  },
  list: (prefix) =>
    [...records]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => ({ key, value }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1)),
})

function twoTasks(): DrivenCluster {
  const cluster = new DrivenCluster()
  cluster.versions.set('dev/db', 2)
  cluster.agent()
  const framework = cluster.framework()
  cluster.launch(framework, command('t', referring('dev/db', 'dev/api/key')), command('t-2'))
  return cluster
}

describe('CL6: any master reads in the store', () => {
  test('which agents, frameworks and tasks there are', () => {
    const cluster = twoTasks()
    const reader = readerOf(cluster.records)

    expect(agentsIn(reader)).toEqual(cluster.core.agents())
    expect(frameworksIn(reader)).toEqual(cluster.core.frameworks())
    expect(tasksIn(reader)).toEqual(cluster.core.tasks())
    expect(tasksIn(reader, 'M-0000')).toHaveLength(2)
    expect(tasksIn(reader, 'M-000')).toEqual([])
    expect(taskIn(reader, 'M-0000', 't')).toEqual(cluster.core.taskOf('M-0000', 't'))
    expect(taskIn(reader, 'M-0000', 'x')).toBeUndefined()
  })

  test("and what each task was granted, its neighbours' grants apart", () => {
    const reader = readerOf(twoTasks().records)
    const grant = { frameworkId: 'M-0000', taskId: 't', agentId: 'M-S0', issuedAtMs: 1_000_000 }

    expect(grantsIn(reader, 'M-0000', 't')).toEqual([
      { ...grant, path: 'dev/api/key', version: null },
      { ...grant, path: 'dev/db', version: 2 },
    ])
    expect(grantsIn(reader, 'M-0000', 't-2')).toEqual([])
    expect(allGrantsIn(reader)).toHaveLength(2)
  })
})

test.each([['{'], ['[]'], ['{"taskId":"t"}'], ['\ufffd']])(
  'a record that is not ours (%j) stops whoever reads it, and is not quoted',
  (text) => {
    const key = taskKey('M-0000', 't')

    expect(() => readTask(key, utf8(text))).toThrow(RecordUnreadable)
    expect(() => readTask(key, utf8(text))).toThrow(key)
  },
)

test('an id with a slash in it is no key', () => {
  expect(() => taskKey('a/b', 't')).toThrow('no slash')
})
