import type { WorkloadView } from '@conclave/actors'
import { describe, expect, test } from 'vitest'
import { endOf } from './app-progress.ts'

type Update = NonNullable<WorkloadView['update']>

/** Of a view only what decides. */
const view = (running: number, updated: number, state?: Update['state']): WorkloadView =>
  ({
    counts: { desired: 3, running, updated },
    update: state === undefined ? undefined : ({ state } as Update),
  }) as WorkloadView

describe('a change of a workload', () => {
  test.each([
    ['some do not run yet', view(2, 2), false, undefined],
    ['all run, one of them from before', view(3, 2), false, undefined],
    ['all run', view(3, 3), false, true],
    ['all run, and the update is still watched', view(3, 3, 'updating'), false, undefined],
    ['it is completed', view(3, 3, 'completed'), false, true],
    ['it is completed, and one has just ended', view(2, 2, 'completed'), false, undefined],
    ['it is paused', view(3, 1, 'paused'), false, false],
    ['it goes back', view(3, 3, 'rollback-started'), false, undefined],
    ['it went back', view(3, 3, 'rollback-completed'), false, false],
    ['it went back, as it was told', view(3, 3, 'rollback-completed'), true, true],
    ['it is paused on its way back', view(3, 1, 'rollback-paused'), true, false],
  ])('%s: that is what it came to', (_name, seen, wasRollback, end) => {
    expect(endOf(seen, wasRollback)).toBe(end)
  })
})
