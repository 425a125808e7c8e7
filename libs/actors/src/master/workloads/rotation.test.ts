import { WorkloadSpec, type WorkloadSpecInput } from '@conclave/workloads'
import { describe, expect, test } from 'vitest'
import { canRotateTo } from './rotation.ts'

const file = { mode: 0o444, uid: 0, gid: 0, object: 'SECRET', target: 'pw' }
const volume = (at: string, name: string, more: object = {}): object => ({
  mode: 'RO',
  container_path: at,
  source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name } } },
  file: { ...file, object_id: `id of ${name}`, ...more },
})

const specOf = (volumes: readonly object[], more: Partial<WorkloadSpecInput> = {}): WorkloadSpec =>
  WorkloadSpec.parse({
    name: 'web',
    labels: { 'conclave.rotate': 'in-place' },
    template: {
      name: 'web',
      resources: [],
      command: { value: 'true' },
      container: { type: 'MESOS', volumes },
    },
    ...more,
  })

const before = specOf([volume('/a', 'one'), volume('/b', 'two')])

describe('WK17: tasks can stay', () => {
  test.each<[string, WorkloadSpec]>([
    ['nothing differs', before],
    ['a file is of another secret', specOf([volume('/a', 'three'), volume('/b', 'two')])],
    ['files are listed in another order', specOf([volume('/b', 'two'), volume('/a', 'one')])],
    ['a label of the service differs', { ...before, labels: { ...before.labels, a: 'b' } }],
  ])('when %s', (_what, after) => {
    expect(canRotateTo(before, after)).toBe(true)
  })

  test.each<[string, WorkloadSpec]>([
    [
      'the label is not there',
      { ...specOf([volume('/a', 'three'), volume('/b', 'two')]), labels: {} },
    ],
    ['a file is somewhere else', specOf([volume('/a', 'one'), volume('/c', 'two')])],
    [
      'a file has another mode',
      specOf([volume('/a', 'one', { mode: 0o400 }), volume('/b', 'two')]),
    ],
    ['there is one more', specOf([volume('/a', 'one'), volume('/b', 'two'), volume('/c', 'x')])],
    ['it is forced', specOf([volume('/a', 'one'), volume('/b', 'two')], { forceUpdate: 1 })],
    [
      'the command differs',
      { ...before, template: { ...before.template, command: { value: 'false' } } },
    ],
  ])('but not when %s', (_what, after) => {
    expect(canRotateTo(before, after)).toBe(false)
  })
})
