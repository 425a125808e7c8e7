import { parse, TaskSpec } from '@conclave/model'
import { WorkloadSpec, WorkloadTask } from '@conclave/workloads'
import { expect, test } from 'vitest'
import { withPlace } from './task-place.ts'

const template = parse(TaskSpec, {
  name: 'web',
  command: { value: 'true' },
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }],
  container: { type: 'MESOS', service: { id: 's', name: 'web' } },
})
const node = { agentId: 'agent-1-S0', hostname: 'one', platform: { os: 'linux', arch: 'x86_64' } }

function placeOf(kind: string, slot: string) {
  const spec = WorkloadSpec.parse({ name: 'web', template: {}, mode: { kind } })
  const task = WorkloadTask.parse({
    id: 't',
    taskId: `web.${slot}.t`,
    workloadId: 'w',
    slot,
    attempt: 1,
    templateVersion: 1,
    desired: 'running',
    state: 'assigned',
    createdAtMs: 1,
    stateAtMs: 1,
    failuresInRow: 0,
    restartsAtMs: [],
  })
  return withPlace(template, task, spec, node, 'test').container?.service?.place
}

test.each([
  ['replicated', '3', '3'],
  ['replicated-job', '3', '3'],
  ['replicated-job', '0', 'node'],
  ['global', 'agent-1', 'node'],
  ['global-job', 'agent-1', 'node'],
])('MA60: templates are told of a %s task in %s that its slot is its %s', (kind, slot, told) => {
  const place = placeOf(kind, slot)
  expect(place?.slot).toBe(told === 'node' ? place?.node_id : told)
  expect(place?.node_id).toMatch(/^[0-9a-z]{25}$/)
})
