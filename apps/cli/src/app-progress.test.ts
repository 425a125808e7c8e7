import type { WorkloadView } from '@conclave/actors'
import { describe, expect, test } from 'vitest'
import { endOf, Progress, type TaskSeen } from './app-progress.ts'

type Update = NonNullable<WorkloadView['update']>

/** Of a view only what decides. */
const view = (running: number, updated: number, state?: Update['state']): WorkloadView =>
  ({
    name: 'web',
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

/** Of a job of three. */
const jobView = (completed: number, running: number, failed = 0): WorkloadView =>
  ({
    name: 'batch',
    counts: { desired: 3 - completed - failed, running, updated: running },
    update: { state: 'rollback-started' } as Update,
    job: { iteration: 0, startedAtMs: 1, total: 3, completed, failed },
  }) as WorkloadView

describe('a job', () => {
  test.each([
    ['nothing has ended', jobView(0, 3), undefined],
    ['one is left', jobView(2, 0), undefined],
    ['one was given up, and one is left', jobView(1, 0, 1), undefined],
    ['all have ended well', jobView(3, 0), true],
    ['one was given up, and none is left', jobView(2, 0, 1), false],
  ])('%s: that is what it came to', (_name, seen, end) => {
    expect(endOf(seen, false)).toBe(end)
  })

  test('says how far it is, and nothing of a failure that was made good', () => {
    const progress = new Progress()
    const failed = { ...rejected('batch.0.1', 1), slot: '0' }
    expect(progress.news(jobView(0, 2, 1), [failed])).toEqual([
      'batch: 0 of 3 completed, 2 running, 1 given up; batch.0.1 rejected: no secret a/b',
    ])
    const done = { ...failed, taskId: 'batch.0.2', desired: 'complete', state: 'finished' } as const
    expect(progress.news(jobView(1, 2), [done, failed])).toEqual([
      'batch: 1 of 3 completed, 2 running',
    ])
  })
})

const rejected = (taskId: string, stateAtMs: number, message = 'no secret a/b'): TaskSeen => ({
  taskId,
  slot: '1',
  desired: 'shutdown',
  state: 'rejected',
  stateAtMs,
  message,
})

describe('what is said meanwhile', () => {
  test('names why nothing runs once, however many tasks fail for the same reason', () => {
    const progress = new Progress()
    const failed = [1, 2, 3, 4].map((at) => rejected(`web.1.${at}`, at))

    expect(progress.news(view(0, 0), [])).toEqual(['web: 0 of 3 running'])
    expect(progress.news(view(0, 0), failed.slice(0, 1))).toEqual([
      'web: 0 of 3 running; web.1.1 rejected: no secret a/b',
    ])
    expect(progress.news(view(0, 0), failed.slice(0, 1))).toEqual([])
    expect(progress.news(view(0, 0), failed.slice(0, 2))).toEqual([
      'web: another one fails in the same way; Ctrl-C ends this command, and not the app',
    ])
    expect(progress.news(view(0, 0), failed)).toEqual([])
  })

  test('goes on with another reason, and with how many run', () => {
    const progress = new Progress()
    const first = rejected('web.1.1', 1)
    progress.news(view(0, 0), [first])

    expect(progress.news(view(0, 0), [first, rejected('web.1.2', 2, 'no room')])).toEqual([
      'web: 0 of 3 running; web.1.2 rejected: no room',
    ])
    expect(progress.news(view(1, 1), [])).toEqual(['web: 1 of 3 running'])
  })
})
