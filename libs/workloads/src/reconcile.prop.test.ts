import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { jobProgress } from './job.ts'
import { isJob } from './spec.ts'
import { isFinal, isLive } from './task.ts'
import { Stage } from './testing/stage.ts'
import { isOfThisRun } from './workload.ts'

/*
 * A cluster in which anything happens in any order, and the reconciler in the middle of it. It remembers nothing,
 * so every step is what a leader that has just begun would do.
 */

const specs = fc.record({
  mode: fc.oneof(
    fc.record({ kind: fc.constant('replicated' as const), replicas: fc.nat(6) }),
    fc.constant({ kind: 'global' as const }),
    fc.record({
      kind: fc.constant('replicated-job' as const),
      completions: fc.nat(6),
      maxConcurrent: fc.integer({ min: 1, max: 4 }),
    }),
    fc.constant({ kind: 'global-job' as const }),
  ),
  historyLimit: fc.nat(3),
  restart: fc.record({ delayMs: fc.nat(2000) }),
  update: fc.record({
    parallelism: fc.nat(3),
    order: fc.constantFrom('stop-first' as const, 'start-first' as const),
    failureAction: fc.constantFrom('pause' as const, 'continue' as const, 'rollback' as const),
    maxFailureRatio: fc.constantFrom(0, 0.5, 1),
    delayMs: fc.nat(1000),
  }),
})

const what = fc.oneof(
  fc.record({ do: fc.constant('step' as const) }),
  fc.record({ do: fc.constant('work' as const) }),
  fc.record({ do: fc.constant('launch' as const), nth: fc.nat(10) }),
  fc.record({ do: fc.constant('run' as const), nth: fc.nat(10) }),
  fc.record({
    do: fc.constant('say' as const),
    nth: fc.nat(10),
    state: fc.constantFrom('TASK_FAILED', 'TASK_FINISHED', 'TASK_KILLED', 'TASK_LOST'),
  }),
  fc.record({ do: fc.constant('refuse' as const), nth: fc.nat(10) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(20_000) }),
  fc.record({ do: fc.constant('update' as const), template: fc.nat(3) }),
  fc.record({ do: fc.constant('scale' as const), replicas: fc.nat(6) }),
  fc.record({
    do: fc.constant('availability' as const),
    node: fc.constantFrom('a', 'b', 'c'),
    to: fc.constantFrom('active' as const, 'pause' as const, 'drain' as const),
  }),
  fc.record({
    do: fc.constant('connect' as const),
    node: fc.constantFrom('a', 'b', 'c'),
    isConnected: fc.boolean(),
  }),
)

type What = typeof what extends fc.Arbitrary<infer T> ? T : never

function happen(stage: Stage, one: What): void {
  const live = stage.live
  const nth = 'nth' in one ? live[one.nth % Math.max(1, live.length)] : undefined
  switch (one.do) {
    case 'step':
      stage.step()
      return
    case 'work':
      return stage.work()
    case 'launch':
      if (nth?.state === 'assigned' && nth.desired === 'running') stage.launch(nth)
      return
    case 'run':
      if (stage.cluster.get(nth?.taskId ?? '')?.state === 'TASK_STAGING' && nth) stage.run(nth)
      return
    case 'say':
      return endNth(stage, one)
    case 'refuse':
      if (nth?.state === 'assigned' && !stage.cluster.has(nth.taskId)) {
        stage.refusals.set(nth.taskId, { message: 'no' })
      }
      return
    case 'wait':
      stage.nowMs += one.ms
      return
    case 'update':
      return stage.want({ template: { v: one.template } })
    case 'scale': {
      const { mode } = stage.workload.spec
      if (mode.kind === 'replicated') stage.want({ mode: { ...mode, replicas: one.replicas } })
      if (mode.kind === 'replicated-job') {
        stage.want({ mode: { ...mode, completions: one.replicas } })
      }
      return
    }
    case 'availability':
      return stage.set(one.node, { availability: one.to })
    case 'connect':
      return stage.set(one.node, { isConnected: one.isConnected })
  }
}

/** What runs ends by itself, also what is about to be ended. */
function endNth(stage: Stage, { nth, state }: Extract<What, { do: 'say' }>): void {
  const begun = [...stage.tasks.values()].filter(({ taskId }) =>
    /STAGING|RUNNING/.test(stage.cluster.get(taskId)?.state ?? ''),
  )
  const task = begun[nth % Math.max(1, begun.length)]
  if (task !== undefined) stage.say(task, state)
}

function check(stage: Stage): void {
  const { historyLimit } = stage.workload.spec
  const slots = Map.groupBy(stage.tasks.values(), ({ slot }) => slot)
  for (const tasks of slots.values()) {
    const wanted = tasks.filter(({ desired, state }) => desired === 'running' && !isFinal(state))
    const versions = new Set(wanted.map(({ templateVersion }) => templateVersion))
    // Two only while one of another template takes over.
    expect(wanted.length).toBeLessThanOrEqual(2)
    expect(versions.size).toBe(wanted.length)
    // The way back is stop-first in all these stories.
    const { spec } = stage.workload
    const isOneByOne = spec.update.order === 'stop-first' || isJob(spec)
    expect(wanted.length).toBeLessThanOrEqual(isOneByOne ? 1 : 2)
    // By start-first those of changes in quick succession may still be ending.
    const containersMax = isOneByOne ? 1 : Infinity
    expect(stage.containersIn(tasks[0]?.slot ?? '')).toBeLessThanOrEqual(containersMax)
    const ended = tasks.filter(({ state }) => isFinal(state))
    expect(ended.length).toBeLessThanOrEqual(Math.max(historyLimit, tasks.some(isLive) ? 0 : 1))
  }
}

/** Of a job no more run than may at once, whichever run they are of; and what it has completed stays so. */
function checkJob(stage: Stage, known: Map<number, number>): void {
  const { workload } = stage
  const { mode } = workload.spec
  const atOnceMax = mode.kind === 'replicated-job' ? mode.maxConcurrent : stage.nodes.length
  expect(stage.containers).toBeLessThanOrEqual(atOnceMax)
  const tasks = [...stage.tasks.values()]
  const done = tasks.filter((task) => task.state === 'finished' && isOfThisRun(workload, task))
  for (const { slot, attempt } of done) {
    expect(stage.of(slot).every((task) => task.attempt <= attempt)).toBe(true)
  }
  const iteration = workload.job?.iteration ?? 0
  const { completed } = jobProgress(workload, tasks)
  expect(completed).toBe(done.length)
  expect(completed).toBeGreaterThanOrEqual(known.get(iteration) ?? 0)
  known.set(iteration, completed)
}

test('WL2, WL3, WL6, WL12, WL13: whatever happens, no slot is wanted twice, history is bounded, and all comes to rest as wanted', () => {
  fc.assert(
    fc.property(specs, fc.array(what, { maxLength: 60, size: 'max' }), (spec, story) => {
      const stage = new Stage(spec)
      const known = new Map<number, number>()
      for (const one of story) {
        happen(stage, one)
        if (isJob(stage.workload.spec)) checkJob(stage, known)
        if (one.do === 'step') check(stage)
      }
      for (const node of stage.nodes)
        stage.set(node.name, { isConnected: true, availability: 'active' })
      stage.refusals.clear()
      stage.settle()

      const { mode } = stage.workload.spec
      if (mode.kind === 'replicated') expectAllRun(stage, mode.replicas)
      else if (mode.kind === 'global') expectAllRun(stage, 3)
      else expectComplete(stage, mode.kind === 'global-job' ? 3 : mode.completions)
      if (isJob(stage.workload.spec)) checkJob(stage, known)
      check(stage)
      stage.workload = { ...stage.workload, removedAtMs: stage.nowMs }
      stage.settle()
      expect([stage.isOver, stage.tasks.size, stage.containers]).toEqual([true, 0, 0])
    }),
    { numRuns: 500 },
  )
})

test('WL12: whatever happens to a job that runs, what ended well in a slot is not begun there again', () => {
  const jobs = specs.filter((spec) => isJob(spec))
  const stories = fc.array(what, { maxLength: 60, size: 'max' })
  fc.assert(
    fc.property(jobs, stories, (spec, story) => {
      const stage = new Stage(spec)
      const known = new Map<number, number>()
      stage.settle()
      for (const one of story) {
        happen(stage, one)
        checkJob(stage, known)
      }
      stage.decide()
      expect(stage.step().tasks.size).toBe(0)
    }),
    { numRuns: 2000 },
  )
})

function expectComplete(stage: Stage, completed: number): void {
  stage.complete()
  const progress = jobProgress(stage.workload, [...stage.tasks.values()])
  expect(progress).toEqual({ completed, failed: 0, live: 0 })
}

function expectAllRun(stage: Stage, wanted: number): void {
  expect(stage.running).toHaveLength(wanted)
  expect(stage.containers).toBe(wanted)
  expect(stage.live).toHaveLength(wanted)
  const { templateVersion } = stage.workload
  const isPaused = stage.status.update?.state.endsWith('paused') === true
  const isCurrent = stage.running.every((task) => task.templateVersion === templateVersion)
  expect(isPaused || isCurrent).toBe(true)
}

test('WL4: an update takes no more instances away at once than it may', () => {
  const speeds = fc.array(fc.nat(3), { minLength: 10, maxLength: 200 })
  const policies = fc.record({
    parallelism: fc.integer({ min: 1, max: 3 }),
    order: fc.constantFrom('stop-first' as const, 'start-first' as const),
    delayMs: fc.nat(50),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), policies, speeds, (replicas, update, dice) => {
      const stage = new Stage({ mode: { kind: 'replicated', replicas }, update })
      stage.settle()
      stage.want({ template: { v: 2 } })
      for (const die of dice) {
        stage.step()
        const up = new Set(stage.running.map(({ slot }) => slot)).size
        const isStopFirst = update.order === 'stop-first'
        expect(up).toBeGreaterThanOrEqual(replicas - (isStopFirst ? update.parallelism : 0))
        const more = isStopFirst ? 0 : update.parallelism
        expect(stage.live.length).toBeLessThanOrEqual(replicas + more)
        if (die === 0) stage.work()
        if (die === 1) stage.nowMs += 20
      }
      stage.settle()
      expect(stage.status.update?.state).toBe('completed')
      expect(stage.running.map(({ templateVersion }) => templateVersion)).toEqual(
        Array.from({ length: replicas }, () => 2),
      )
    }),
    { numRuns: 300 },
  )
})
