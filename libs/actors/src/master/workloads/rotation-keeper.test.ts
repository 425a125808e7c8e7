import { tasksPrefix } from '@conclave/cluster'
import { utf8 } from '@conclave/kernel'
import type { ContainerInfo } from '@conclave/model'
import { encodeCommand, StoreMachine, type Op } from '@conclave/store'
import {
  workloadKey,
  taskIdOf,
  taskKey,
  templateKey,
  Workload,
  WorkloadTask,
} from '@conclave/workloads'
import { beforeEach, describe, expect, test } from 'vitest'
import { encodeRecord } from '../record.ts'
import { Replicated } from '../replicated.ts'
import { RotationKeeper, type RotatingTerm } from './rotation-keeper.ts'
import { WorkloadRecords } from './workload-records.ts'
import { parseWorkloadSpec } from './workload-spec.ts'

const frameworkId = 'framework-1'

let store: StoreMachine
let records: WorkloadRecords
let keeper: RotationKeeper
/** The tasks that the core was asked to compare, and with what. */
let asked: { readonly taskId: string; readonly wanted: ContainerInfo }[]
let failed: Set<string>
let problems: unknown[]

const put = (key: string, record: unknown): Op => ({ do: 'put', key, value: encodeRecord(record) })

function change(...success: readonly Op[]): void {
  store.apply(encodeCommand({ compare: [], success, failure: [], nowMs: 1 }))
}

const term = (flush: () => void = () => undefined): RotatingTerm => ({
  core: {
    taskOf: (_frameworkId, taskId) =>
      failed.has(taskId) ? { rotation: { id: 1, state: 'failed' } } : undefined,
    rotate: (_frameworkId, taskId, wanted) => void asked.push({ taskId, wanted }),
  },
  flush,
})

beforeEach(() => {
  store = new StoreMachine()
  records = new WorkloadRecords(store)
  asked = []
  failed = new Set()
  problems = []
  const replicated = new Replicated(store, {
    linearize: async () => undefined,
    propose: async (txn) => store.apply(encodeCommand({ ...txn, nowMs: 1 })),
  })
  const onProblem = (_what: string, error: unknown): unknown => problems.push(error)
  keeper = new RotationKeeper({ replicated, records, onProblem })
  store.onBatch((batch) => {
    records.told(batch)
    keeper.told(batch)
  })
})

const file = { mode: 0o444, uid: 0, gid: 0, object: 'SECRET', target: 'pw', object_id: 'x' }

function workload(
  id: string,
  secret: string,
  labels: object = { 'conclave.rotate': 'in-place' },
  mode: object = { kind: 'replicated', replicas: 1 },
) {
  const source = { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: secret } } }
  const spec = parseWorkloadSpec({
    name: id,
    labels,
    mode,
    template: {
      command: { value: 'true' },
      resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }],
      container: {
        type: 'MESOS',
        volumes: [{ mode: 'RO', container_path: '/pw', source, file }],
      },
    },
  })
  const record: Workload = {
    id,
    owner: 'root',
    spec,
    templateVersion: 1,
    templateVersionLast: 1,
    createdAtMs: 1,
    updatedAtMs: 1,
  }
  change(put(workloadKey(id, record.spec), record), put(templateKey(id, 1), { spec }))
}

function task(workloadId: string, slot: string, more: Partial<WorkloadTask> = {}): string {
  const id = `${workloadId}task${slot}`.padEnd(25, '0')
  const taskId = taskIdOf(workloadId, slot, id)
  const record = WorkloadTask.parse({
    id,
    taskId,
    workloadId,
    slot,
    attempt: 1,
    templateVersion: 1,
    desired: 'running',
    state: 'running',
    frameworkId,
    createdAtMs: 1,
    stateAtMs: 1,
    failuresInRow: 0,
    restartsAtMs: [],
    ...more,
  })
  change(put(taskKey(workloadId, id), record))
  return taskId
}

/** Nothing is due any more of what made the scene. */
async function quiet(): Promise<void> {
  await keeper.lead(term())
  asked = []
}

const askedIds = (): readonly string[] => asked.map(({ taskId }) => taskId)

describe('WK17: files that are rotated in place', () => {
  test('are compared when one of their secrets changed, in tasks that run from the template', async () => {
    workload('web', 'db')
    const running = task('web', '1')
    task('web', '2', { state: 'starting' })
    task('web', '3', { templateVersion: 2 })
    task('web', '4', { desired: 'shutdown' })
    workload('other', 'elsewhere')
    task('other', '1')
    await quiet()

    change(put('secret/db', {}))
    await keeper.lead(term())

    expect(askedIds()).toEqual([running])
    expect(asked[0]?.wanted.volumes[0]?.source?.secret?.reference?.name).toBe('db')
    await keeper.lead(term())
    expect(asked).toHaveLength(1)
  })

  test('are left alone where the workload does not say so, or is removed', async () => {
    workload('web', 'db', {})
    task('web', '1')
    workload('gone', 'db')
    task('gone', '1')
    const record = records.workload('gone')?.record
    if (record === undefined) throw new Error('it is not there')
    change(put(workloadKey('gone', record.spec), { ...record, removedAtMs: 2 }))

    change(put('secret/db', {}))
    await keeper.lead(term())

    expect(asked).toEqual([])
  })

  test('are compared when their spec, or a task of theirs, changed', async () => {
    workload('web', 'db')
    await quiet()
    const first = task('web', '1')
    await keeper.lead(term())
    expect(askedIds()).toEqual([first])

    workload('web', 'db2')
    await keeper.lead(term())
    expect(askedIds()).toEqual([first, first])
    expect(asked[1]?.wanted.volumes[0]?.source?.secret?.reference?.name).toBe('db2')

    // What the core says of the task itself: how the files that it was asked for have become.
    change({ do: 'put', key: `${tasksPrefix}${frameworkId}/${first}`, value: utf8('{}') })
    await keeper.lead(term())
    expect(asked).toHaveLength(3)
  })

  test('that a container does not take are in the next one: all tasks are replaced', async () => {
    workload('web', 'db')
    failed.add(task('web', '1'))
    task('web', '2')
    await keeper.lead(term())

    expect(asked).toEqual([])
    expect(records.workload('web')?.record).toMatchObject({
      templateVersion: 2,
      templateVersionLast: 2,
    })
    expect(records.template('web', 2)?.record.spec).toEqual(records.workload('web')?.record.spec)
  })

  test('that a container of a job does not take are passed over: it ends with those that it has', async () => {
    workload('batch', 'db', undefined, { kind: 'replicated-job', completions: 2 })
    failed.add(task('batch', '0'))
    const other = task('batch', '1')
    await keeper.lead(term())

    expect(askedIds()).toEqual([other])
    expect(records.workload('batch')?.record).toMatchObject({ templateVersion: 1 })
  })

  test('are looked at by who leads, all of them once another state is there', async () => {
    workload('web', 'db')
    const running = task('web', '1')
    keeper.rest()
    await keeper.lead(term())
    expect(asked).toEqual([])

    keeper.toldOfEverything()
    await keeper.lead(term())
    expect(askedIds()).toEqual([running])
  })

  test('are looked at again when that failed', async () => {
    workload('web', 'db')
    const running = task('web', '1')
    const over = new Error('the term is over')
    await keeper.lead(
      term(() => {
        throw over
      }),
    )
    expect(problems).toEqual([over])
    asked = []

    await keeper.lead(term())
    expect(askedIds()).toEqual([running])
  })
})
