import { describe, expect, test } from 'vitest'
import type { WorkloadSpecInput } from './spec.ts'
import type { WorkloadTask } from './task.ts'
import { nodeOf, Stage } from './testing/stage.ts'

const replicas = (count: number, more: Partial<WorkloadSpecInput> = {}): Stage =>
  new Stage({ mode: { kind: 'replicated', replicas: count }, ...more })

function up(stage: Stage): Stage {
  stage.settle()
  return stage
}

const first = (stage: Stage): WorkloadTask => {
  const [task] = stage.running
  if (task === undefined) throw new Error('nothing runs')
  return task
}

/** Where tasks run, sorted. */
const nodesOf = (stage: Stage): readonly string[] =>
  stage.running.map(({ nodeName = '' }) => nodeName).toSorted()

describe('restarts', () => {
  test('WL5: wait longer after each failure in a row, and begin anew after a good time', () => {
    const stage = up(
      replicas(1, { restart: { delayMs: 1000, backoffFactor: 2, delayMaxMs: 5000 } }),
    )
    const waits: number[] = []
    for (let failure = 0; failure < 5; failure++) {
      stage.say(first(stage), 'TASK_FAILED')
      stage.decide()
      const [waiting] = stage.live
      expect(waiting?.desired).toBe('ready')
      waits.push((waiting?.notBeforeMs ?? 0) - stage.nowMs)
      stage.nowMs += waits.at(-1) ?? 0
      stage.decide()
      stage.work()
      stage.decide()
      stage.work()
      stage.decide()
    }
    expect(waits).toEqual([1000, 2000, 4000, 5000, 5000])

    stage.nowMs += 10_000
    stage.say(first(stage), 'TASK_FAILED')
    stage.decide()
    expect(stage.live[0]?.failuresInRow).toBe(1)
  })

  test('WL5: are as many as may be, within the window', () => {
    const restart = { delayMs: 0, maxAttempts: 2, windowMs: 1000 }
    const stage = up(replicas(1, { restart }))
    const fail = (): void => {
      stage.say(first(stage), 'TASK_FAILED')
      stage.settle()
    }

    fail()
    fail()
    stage.nowMs += 1000
    fail()
    expect(stage.running).toHaveLength(1)
    fail()
    expect(stage.running).toHaveLength(1)
    fail()
    expect(stage.live).toEqual([])
    stage.nowMs += 1_000_000
    stage.settle()
    expect(stage.live).toEqual([])
  })

  test.each([
    ['any', 'TASK_FINISHED', 1],
    ['any', 'TASK_KILLED', 1],
    ['on-failure', 'TASK_FINISHED', 0],
    ['on-failure', 'TASK_FAILED', 1],
    ['on-failure', 'TASK_LOST', 1],
    ['none', 'TASK_FAILED', 0],
    ['none', 'TASK_LOST', 0],
  ] as const)('WL5: after condition %s and %s: %i', (condition, state, count) => {
    const stage = up(replicas(1, { restart: { condition } }))

    stage.say(first(stage), state)
    stage.settle()

    expect(stage.running).toHaveLength(count)
  })

  test('WL5: come at once, and are no failure, when an agent was lost', () => {
    const stage = up(replicas(1))

    stage.say(first(stage), 'TASK_LOST')
    stage.decide()

    expect(stage.live).toMatchObject([{ desired: 'running', failuresInRow: 0 }])
  })

  test('WL5: come for what the cluster would not have, too', () => {
    const stage = replicas(1)
    stage.decide()
    const [task] = stage.live
    stage.refusals.set(task?.taskId ?? '', { message: 'Task is not authorized' })
    stage.decide()

    expect(stage.ended).toMatchObject([{ state: 'rejected', message: 'Task is not authorized' }])
    expect(stage.live).toMatchObject([{ desired: 'ready', failuresInRow: 1 }])
  })
})

describe('an update', () => {
  test('WL4: replaces one slot after the other, and is completed after a time of watching', () => {
    const stage = up(replicas(3))
    stage.want({ template: { v: 2 } })
    stage.decide()

    expect(stage.status.update).toMatchObject({ state: 'updating', instances: 3 })
    expect(stage.running).toHaveLength(2)
    stage.settle()

    expect(stage.status.update).toMatchObject({ state: 'completed', message: 'update completed' })
    expect(stage.running.map(({ templateVersion }) => templateVersion)).toEqual([2, 2, 2])
  })

  test('WL4: stop-first begins the new one when the old one has ended', () => {
    const stage = up(replicas(1))
    stage.want({ template: { v: 2 } })
    stage.decide()

    expect(stage.of('1')).toMatchObject([
      { desired: 'shutdown', state: 'running' },
      { desired: 'ready', state: 'pending' },
    ])
    stage.work()
    stage.decide()
    expect(stage.of('1')).toMatchObject([{ state: 'killed' }, { state: 'assigned' }])
  })

  test('WL4: start-first ends the old one when the new one runs', () => {
    const stage = up(replicas(1, { update: { order: 'start-first' } }))
    stage.want({ template: { v: 2 } })
    stage.decide()
    stage.work()
    stage.decide()
    expect(stage.of('1').map(({ state, desired }) => `${state} ${desired}`)).toEqual([
      'running running',
      'staging running',
    ])

    stage.work()
    stage.decide()
    expect(stage.of('1').map(({ state, desired }) => `${state} ${desired}`)).toEqual([
      'running shutdown',
      'running running',
    ])
  })

  test.each([
    ['pause', 'paused'],
    ['rollback', 'rollback-completed'],
    ['continue', 'completed'],
  ] as const)('WL7: whose first instance fails: %s', (failureAction, state) => {
    const stage = up(replicas(3, { update: { failureAction }, restart: { delayMs: 10 } }))
    stage.want({ template: { v: 2 } })
    stage.decide()
    stage.work()
    stage.decide()
    const young = stage.live.find(({ templateVersion }) => templateVersion === 2)
    stage.work()
    stage.decide()
    if (young !== undefined) stage.say(young, 'TASK_FAILED')
    stage.settle()

    expect(stage.status.update?.state).toBe(state)
    const versions = stage.running
      .map(({ templateVersion }) => templateVersion)
      .toSorted((a, b) => a - b)
    const wanted = { pause: [1, 1, 2], rollback: [1, 1, 1], continue: [2, 2, 2] }[failureAction]
    expect(versions).toEqual(wanted)
    expect(stage.containers).toBe(3)
    const isBack = failureAction === 'rollback'
    expect(stage.workload.templateVersion).toBe(isBack ? 1 : 2)
    expect(stage.workload.previous === undefined).toBe(isBack)
    const message = {
      pause: `update paused due to failure or early termination of task ${young?.id}`,
      rollback: 'rollback completed',
      continue: 'update completed',
    }[failureAction]
    expect(stage.status.update?.message).toBe(message)
  })

  test('WL7: is not over on its way back before the slot that failed has one again', () => {
    const stage = up(
      replicas(2, { update: { failureAction: 'rollback' }, restart: { delayMs: 10 } }),
    )
    stage.want({ template: { v: 2 } })
    for (let round = 0; stage.status.update?.state !== 'rollback-started'; round++) {
      stage.decide()
      stage.work()
      const young = stage.live.find(
        ({ templateVersion, state }) => templateVersion === 2 && state === 'running',
      )
      if (young !== undefined) stage.say(young, 'TASK_FAILED')
      expect(round).toBeLessThan(20)
    }
    while (stage.status.update?.state === 'rollback-started') {
      stage.nowMs += 100
      stage.decide()
      stage.work()
    }
    expect(stage.status.update?.state).toBe('rollback-completed')
    expect(stage.running.map(({ templateVersion }) => templateVersion)).toEqual([1, 1])
  })

  test('WL7: goes on while its failures are no more than it may have', () => {
    const stage = up(replicas(4, { update: { maxFailureRatio: 0.25 }, restart: { delayMs: 10 } }))
    stage.want({ template: { v: 2 } })
    const fail = (): void => {
      const young = stage.live.find(
        ({ templateVersion, state }) => templateVersion === 2 && state === 'running',
      )
      if (young !== undefined) stage.say(young, 'TASK_FAILED')
    }
    const one = (): void => {
      for (let round = 0; round < 3; round++) {
        stage.decide()
        stage.work()
      }
      stage.decide()
    }
    one()
    fail()
    stage.decide()
    expect(stage.status.update).toMatchObject({ state: 'updating', failures: 1 })
    one()
    fail()
    stage.decide()
    expect(stage.status.update).toMatchObject({ state: 'paused', failures: 2 })
  })

  test('WL7: that fails on its way back stays where it is', () => {
    const stage = up(replicas(1, { restart: { delayMs: 10 } }))
    stage.want({ template: { v: 2 } })
    stage.settle()
    const { previous, ...rest } = stage.workload
    stage.workload = { ...rest, ...previous, previous: rest }
    stage.status = {
      update: {
        state: 'rollback-started',
        message: 'manually requested rollback',
        startedAtMs: stage.nowMs,
        instances: 0,
        failures: 0,
      },
    }
    for (let round = 0; round < 3; round++) {
      stage.decide()
      stage.work()
    }
    stage.decide()
    stage.say(first(stage), 'TASK_FAILED')
    stage.settle()

    expect(stage.status.update?.state).toBe('rollback-paused')
  })

  test('WL4: a change that leaves the template alone replaces nothing', () => {
    const stage = up(replicas(2))
    const before = stage.running.map(({ id }) => id)
    stage.want({ labels: { a: 'b' }, restart: { delayMs: 5 } })
    stage.settle()

    expect(stage.running.map(({ id }) => id)).toEqual(before)
    expect(stage.status.update).toBeUndefined()
  })
})

describe('a node', () => {
  test('WL8: that is drained loses its tasks to others, and gets no new ones', () => {
    const stage = up(replicas(6))
    stage.set('a', { availability: 'drain' })
    stage.settle()

    expect(stage.running).toHaveLength(6)
    expect(stage.running.filter(({ nodeName }) => nodeName === 'a')).toEqual([])
    expect([...stage.cluster.values()].filter((one) => one.nodeName === 'a')).toMatchObject([
      { state: 'TASK_KILLED' },
      { state: 'TASK_KILLED' },
    ])
  })

  test('WL8: that is paused keeps what it has', () => {
    const stage = up(replicas(3))
    stage.set('a', { availability: 'pause' })
    stage.want({ mode: { kind: 'replicated', replicas: 6 } })
    stage.settle()

    const onA = stage.running.filter(({ nodeName }) => nodeName === 'a')
    expect(onA).toHaveLength(1)
  })

  test('WL8: whose labels no longer satisfy is left', () => {
    const stage = replicas(2, { placement: { constraints: ['node.labels.zone == x'] } })
    stage.set('a', { labels: { zone: 'x' } })
    stage.set('b', { labels: { zone: 'x' } })
    stage.settle()
    stage.set('a', { labels: {} })
    stage.settle()

    expect(stage.running.map(({ nodeName }) => nodeName)).toEqual(['b', 'b'])
  })

  test('WL9: each has one of a global workload, as they come and go', () => {
    const stage = up(new Stage({ mode: { kind: 'global' } }, ['a', 'b']))
    stage.nodes.push(nodeOf('c'))
    stage.set('a', { availability: 'drain' })
    stage.settle()
    expect(stage.running.map(({ slot, nodeName }) => `${slot} ${nodeName}`).toSorted()).toEqual([
      'b b',
      'c c',
    ])

    stage.set('a', { availability: 'active' })
    stage.nodes = stage.nodes.filter(({ name }) => name !== 'b')
    for (const task of stage.of('b')) stage.say(task, 'TASK_LOST')
    stage.settle()
    expect(stage.running.map(({ slot }) => slot).toSorted()).toEqual(['a', 'c'])
    expect(stage.of('b')).toEqual([])
  })
})

describe('placing', () => {
  test('WL10: spreads over nodes, and over the values of a label before that', () => {
    const stage = replicas(4, { placement: { spread: ['node.labels.zone'] } })
    stage.set('a', { labels: { zone: 'x' } })
    stage.set('b', { labels: { zone: 'y' } })
    stage.set('c', { labels: { zone: 'y' } })
    stage.settle()

    expect(nodesOf(stage)).toEqual(['a', 'a', 'b', 'c'])
  })

  test('WL10: waits, and says why, where no node may have it', () => {
    const stage = replicas(4, {
      placement: { constraints: ['node.hostname != c'], maxPerNode: 1 },
    })
    stage.set('b', { free: { cpus: 0.5 } })
    stage.settle(20)

    expect(stage.running).toHaveLength(1)
    const waiting = stage.live.filter(({ state }) => state === 'pending')
    expect(waiting.map(({ message }) => message)).toEqual(
      Array.from(
        { length: 3 },
        () =>
          'no suitable node (max replicas per node limit exceed on 1 node; insufficient resources on 1 node; scheduling constraints not satisfied on 1 node)',
      ),
    )
  })

  test('WL10: tries another node where no offer came for long', () => {
    const stage = replicas(1)
    stage.decide()
    const [before] = stage.live
    stage.set(before?.nodeName ?? '', { isConnected: false })
    stage.decide()

    expect(stage.live).toMatchObject([{ id: before?.id, state: 'assigned' }])
    expect(stage.live[0]?.nodeName).not.toBe(before?.nodeName)
  })
})

describe('scaling', () => {
  test('WL3: takes away what does not run, then from where most are', () => {
    const stage = up(replicas(3))
    stage.set('a', { availability: 'pause' })
    stage.set('b', { availability: 'pause' })
    stage.want({ mode: { kind: 'replicated', replicas: 5 } })
    stage.settle()
    stage.want({ mode: { kind: 'replicated', replicas: 3 } })
    stage.settle()

    expect(nodesOf(stage)).toEqual(['a', 'b', 'c'])
    expect(stage.tasks.size).toBe(3)
  })
})

const isNew = (task: WorkloadTask): boolean => task.templateVersion === 2

const healthy = { isChecked: true, healthy: true }
const checked = (more: Partial<WorkloadSpecInput> = {}): Stage =>
  replicas(2, { waitsForHealth: true, ...more })

/** Agents do what they were told, and nobody is healthy yet. */
function launchAll(stage: Stage): void {
  stage.decide()
  stage.work()
  for (const task of stage.tasks.values()) {
    if (stage.cluster.get(task.taskId)?.state !== 'TASK_STAGING') continue
    stage.say(task, 'TASK_RUNNING', { isChecked: true })
  }
  stage.decide()
}

function proveAll(stage: Stage): void {
  for (const task of stage.live) {
    if (stage.cluster.get(task.taskId)?.state === 'TASK_RUNNING') {
      stage.say(task, 'TASK_RUNNING', healthy)
    }
  }
  stage.decide()
}

describe('health', () => {
  test('WL11: is what a task with a check waits for before it runs', () => {
    const stage = checked()
    launchAll(stage)
    expect(stage.live.map(({ state }) => state)).toEqual(['starting', 'starting'])

    proveAll(stage)
    expect(stage.running).toHaveLength(2)

    stage.say(first(stage), 'TASK_RUNNING', { isChecked: true, healthy: false })
    stage.decide()
    expect(stage.running).toHaveLength(2)
  })

  test('WL11: matters to nobody without a check, or where the spec does not say so', () => {
    expect(up(checked()).running).toHaveLength(2)
    const stage = replicas(2)
    launchAll(stage)
    expect(stage.running).toHaveLength(2)
  })

  test('WL11: lets an update go on, and start-first keeps the old one until then', () => {
    const stage = checked({ update: { order: 'start-first', monitorMs: 0 } })
    launchAll(stage)
    proveAll(stage)
    stage.want({ template: { v: 2 } })
    launchAll(stage)
    expect(stage.live.filter(isNew).map(({ state }) => state)).toEqual(['starting'])
    expect(stage.running.filter((task) => !isNew(task))).toHaveLength(2)

    for (let round = 0; round < 6; round++) {
      launchAll(stage)
      proveAll(stage)
      stage.nowMs++
    }
    expect(stage.running.map(isNew)).toEqual([true, true])
    expect(stage.status.update?.state).toBe('completed')
  })

  test('WL11: that never comes is a failure of the update', () => {
    const stage = checked()
    launchAll(stage)
    proveAll(stage)
    stage.want({ template: { v: 2 } })
    for (let round = 0; round < 3; round++) launchAll(stage)
    const fresh = stage.live.find(({ templateVersion }) => templateVersion === 2)
    expect(fresh?.state).toBe('starting')
    if (fresh) stage.say(fresh, 'TASK_FAILED', { isChecked: true, healthy: false })
    stage.decide()
    expect(stage.status.update?.state).toBe('paused')
  })
})
