import { describe, expect, test } from 'vitest'
import { jobProgress } from './job.ts'
import type { WorkloadSpecInput } from './spec.ts'
import { nodeOf, Stage } from './testing/stage.ts'

const job = (
  completions: number,
  maxConcurrent: number,
  more: Partial<WorkloadSpecInput> = {},
): Stage => new Stage({ mode: { kind: 'replicated-job', completions, maxConcurrent }, ...more })

const onEachNode = (more: Partial<WorkloadSpecInput> = {}, nodes = ['a', 'b']): Stage =>
  new Stage({ mode: { kind: 'global-job' }, ...more }, nodes)

const progress = (stage: Stage): object => jobProgress(stage.workload, [...stage.tasks.values()])

/** What runs in `slot` ends so. */
function end(stage: Stage, slot: string, state: string): void {
  const task = stage.running.find((one) => one.slot === slot)
  if (task === undefined) throw new Error(`nothing runs in ${slot}`)
  stage.say(task, state)
}

const slots = (stage: Stage): readonly string[] => stage.running.map(({ slot }) => slot).toSorted()

describe('a job', () => {
  test('WL12: ends as often as it says, from slot 0 on, and nothing of it runs again', () => {
    const stage = job(3, 3)
    stage.settle()
    expect(slots(stage)).toEqual(['0', '1', '2'])

    stage.complete()
    stage.nowMs += 1_000_000
    stage.settle()

    expect(stage.live).toEqual([])
    expect(progress(stage)).toEqual({ completed: 3, failed: 0, live: 0 })
    expect(stage.ended.map(({ attempt, jobIteration }) => [attempt, jobIteration])).toEqual([
      [1, 0],
      [1, 0],
      [1, 0],
    ])
  })

  test.each(['any', 'on-failure', 'none'] as const)(
    'WL12: is not run again after a good end, also by condition %s',
    (condition) => {
      const stage = job(1, 1, { restart: { condition, delayMs: 0 } })
      stage.settle()

      end(stage, '0', 'TASK_FINISHED')
      stage.settle()

      expect(stage.live).toEqual([])
      expect(stage.tasks.size).toBe(1)
    },
  )

  test('WL12: is tried again after a failure, as its policy says, and then given up', () => {
    const stage = job(2, 2, { restart: { condition: 'any', maxAttempts: 1, delayMs: 1000 } })
    stage.settle()

    end(stage, '0', 'TASK_FAILED')
    stage.decide()
    expect(stage.of('0').at(-1)).toMatchObject({ desired: 'ready', jobIteration: 0 })
    stage.settle()
    end(stage, '0', 'TASK_FAILED')
    end(stage, '1', 'TASK_FINISHED')
    stage.settle()

    expect(progress(stage)).toEqual({ completed: 1, failed: 1, live: 0 })
  })

  test('WL12: that is on no node any more when its agent is lost begins elsewhere', () => {
    const stage = job(1, 1)
    stage.settle()

    end(stage, '0', 'TASK_LOST')
    stage.settle()

    expect(stage.running).toMatchObject([{ slot: '0', attempt: 2, failuresInRow: 0 }])
  })

  test('WL13: runs no more at once than it may, and goes on as they end', () => {
    const stage = job(5, 2)
    stage.settle()
    expect(slots(stage)).toEqual(['0', '1'])

    end(stage, '1', 'TASK_FINISHED')
    stage.settle()
    expect(slots(stage)).toEqual(['0', '2'])

    end(stage, '0', 'TASK_FAILED')
    stage.decide()
    // It waits for its next attempt, and keeps its place meanwhile.
    expect(stage.live.map(({ slot, desired }) => [slot, desired])).toEqual([
      ['2', 'running'],
      ['0', 'ready'],
    ])
    stage.complete()
    expect(progress(stage)).toEqual({ completed: 5, failed: 0, live: 0 })
  })

  test('WL13: what is given up leaves its place to the next', () => {
    const stage = job(2, 1, { restart: { condition: 'none' } })
    stage.settle()

    end(stage, '0', 'TASK_FAILED')
    stage.settle()

    expect(slots(stage)).toEqual(['1'])
  })

  test('WL13: of none at once, nothing runs', () => {
    const stage = job(2, 0)
    stage.settle()
    expect(stage.tasks.size).toBe(0)
  })

  test('WL14: is run anew by every change, after what runs of it has ended', () => {
    const stage = job(2, 2)
    stage.settle()
    end(stage, '0', 'TASK_FINISHED')
    stage.settle()

    stage.want({ labels: { a: 'b' } })
    stage.decide()

    expect(
      stage.live.map(({ slot, desired, jobIteration }) => [slot, desired, jobIteration]),
    ).toEqual([
      ['0', 'running', 1],
      ['1', 'ready', 1],
    ])
    expect(progress(stage)).toEqual({ completed: 0, failed: 0, live: 2 })
    stage.settle()
    expect(slots(stage)).toEqual(['0', '1'])
    // What the run before has completed is history, and what it did not is forgotten.
    expect(stage.of('0').map(({ state }) => state)).toEqual(['finished', 'running'])
    expect(stage.of('1').map(({ state }) => state)).toEqual(['running'])
  })

  test('WL14: begins its next run with no more at once than that one may, whatever still ends', () => {
    const stage = job(4, 4)
    stage.settle()

    stage.want({ mode: { kind: 'replicated-job', completions: 4, maxConcurrent: 1 } })
    stage.decide()
    expect(stage.live).toMatchObject([{ slot: '0', desired: 'ready' }])
    stage.settle()

    expect(slots(stage)).toEqual(['0'])
    expect(stage.containers).toBe(1)
  })

  test('WL13, WL14: begins nothing beside what still ends of the run before', () => {
    const stage = job(4, 2)
    stage.settle()
    for (const slot of ['0', '1']) end(stage, slot, 'TASK_FINISHED')
    stage.settle()
    expect(slots(stage)).toEqual(['2', '3'])

    stage.want({ forceUpdate: 1 })
    stage.decide()

    expect(stage.live.map(({ slot, desired }) => [slot, desired])).toEqual([
      ['2', 'ready'],
      ['3', 'ready'],
    ])
  })

  test('WL13, WL14: tries nothing again that failed in the run before', () => {
    const stage = job(2, 1, { restart: { condition: 'none' } })
    stage.settle()
    end(stage, '0', 'TASK_FINISHED')
    stage.settle()
    end(stage, '1', 'TASK_FAILED')
    stage.settle()

    stage.want({ restart: { condition: 'any' } })
    stage.settle()

    expect(slots(stage)).toEqual(['0'])
    expect(stage.of('1')).toMatchObject([{ state: 'failed', jobIteration: 0 }])
  })

  test('WL14: has no update: nothing is replaced one by one, or taken back', () => {
    const stage = job(3, 3, { update: { failureAction: 'rollback', parallelism: 1 } })
    stage.settle()
    stage.want({ template: { v: 2 } })
    stage.settle()

    end(stage, '0', 'TASK_FAILED')
    stage.settle()

    expect(stage.running.map(({ templateVersion }) => templateVersion)).toEqual([2, 2, 2])
    expect(stage.status.update).toBeUndefined()
  })

  test('WL8: on a drained node begins anew on another one', () => {
    const stage = job(1, 1)
    stage.settle()
    const [before] = stage.running
    stage.set(before?.nodeName ?? '', { availability: 'drain' })

    stage.settle()

    expect(stage.running).toMatchObject([{ slot: '0', attempt: 2 }])
    expect(stage.running[0]?.nodeName).not.toBe(before?.nodeName)
    expect(stage.containers).toBe(1)
  })

  test('WL12: that ends well although it was to leave its node is not begun again', () => {
    const stage = job(1, 1)
    stage.settle()
    const [before] = stage.running
    if (before === undefined) throw new Error('nothing runs')
    stage.set(before.nodeName ?? '', { availability: 'drain' })
    stage.decide()
    expect(stage.live).toMatchObject([{ slot: '0', attempt: 2, desired: 'ready' }])

    stage.say(before, 'TASK_FINISHED')
    stage.settle()

    expect(stage.live).toEqual([])
    expect(progress(stage)).toEqual({ completed: 1, failed: 0, live: 0 })
    expect(stage.cluster.size).toBe(1)
  })

  test('WL6: forgets attempts that are too many, and never what has completed', () => {
    const stage = job(1, 1, { historyLimit: 0, restart: { delayMs: 0, backoffFactor: 1 } })
    for (let failure = 0; failure < 3; failure++) {
      stage.settle()
      end(stage, '0', 'TASK_FAILED')
    }
    stage.complete()

    expect(stage.ended).toMatchObject([{ state: 'finished', attempt: 4 }])
  })

  test('WL3: that is removed while it runs ends, and is gone with its last task', () => {
    const stage = job(3, 2)
    stage.settle()
    end(stage, '0', 'TASK_FINISHED')
    stage.workload = { ...stage.workload, removedAtMs: stage.nowMs }
    stage.decide()
    expect([stage.isOver, stage.live]).toEqual([false, []])

    stage.settle()

    expect([stage.isOver, stage.tasks.size, stage.containers]).toEqual([true, 0, 0])
  })
})

describe('a job on each node', () => {
  test('WL9, WL12: ends once on each that may have it, and on those that come later', () => {
    const stage = onEachNode()
    stage.set('b', { availability: 'pause' })
    stage.complete()
    expect(stage.ended.map(({ slot }) => slot)).toEqual(['a'])

    stage.set('b', { availability: 'active' })
    stage.nodes.push(nodeOf('c'))
    stage.complete()

    expect(stage.ended.map(({ slot, attempt }) => [slot, attempt])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ])
  })

  test('WL8: leaves a drained node, and begins there anew once it may', () => {
    const stage = onEachNode()
    stage.settle()
    end(stage, 'a', 'TASK_FINISHED')
    for (const name of ['a', 'b']) stage.set(name, { availability: 'drain' })
    stage.settle()
    expect([stage.live, stage.containers]).toEqual([[], 0])

    for (const name of ['a', 'b']) stage.set(name, { availability: 'active' })
    stage.settle()

    expect(slots(stage)).toEqual(['b'])
  })

  test('WL12: what ends well although its node is drained is not begun there again', () => {
    const stage = onEachNode({}, ['a'])
    stage.settle()
    const [before] = stage.running
    if (before === undefined) throw new Error('nothing runs')
    stage.set('a', { availability: 'drain' })
    stage.decide()
    stage.say(before, 'TASK_FINISHED')
    stage.decide()

    stage.set('a', { availability: 'active' })
    stage.settle()

    expect(stage.live).toEqual([])
    expect(progress(stage)).toEqual({ completed: 1, failed: 0, live: 0 })
  })

  test('WL12: what a node has completed counts also when the node is gone', () => {
    const stage = onEachNode()
    stage.settle()
    end(stage, 'a', 'TASK_FINISHED')
    stage.settle()
    stage.nodes = []
    end(stage, 'b', 'TASK_LOST')

    stage.settle()

    expect([...stage.tasks.values()]).toMatchObject([{ slot: 'a', state: 'finished' }])
    expect(stage.live).toEqual([])
  })

  test('WL14: keeps no history of the run before', () => {
    const stage = onEachNode()
    stage.complete()

    stage.want({ forceUpdate: 1 })
    stage.complete()

    expect(stage.ended.map(({ slot, jobIteration }) => [slot, jobIteration])).toEqual([
      ['a', 1],
      ['b', 1],
    ])
  })
})
