import type { Node } from '../node.ts'
import { reconcile } from '../reconcile.ts'
import type { Decided, Observed } from '../scene.ts'
import { isJob, WorkloadSpec, type WorkloadSpecInput } from '../spec.ts'
import { isFinal, isLive, type WorkloadTask } from '../task.ts'
import type { Workload, WorkloadStatus } from '../workload.ts'

/** A node with plenty of room. */
export const nodeOf = (name: string, more: Partial<Node> = {}): Node => ({
  name,
  agentId: `${name}-S0`,
  hostname: name,
  availability: 'active',
  role: 'worker',
  labels: {},
  isConnected: true,
  isLost: false,
  attributes: {},
  platform: { os: 'linux', arch: '' },
  free: { cpus: 100 },
  tasks: 0,
  ...more,
})

/** One workload, its records and a small cluster under it, in a test's hands. */
export class Stage {
  nowMs = 1_000_000
  nodes: Node[]
  workload: Workload
  status: WorkloadStatus = {}
  tasks = new Map<string, WorkloadTask>()
  /** What the cluster runs or ran, by the task's id there. */
  readonly cluster = new Map<string, Observed & { readonly nodeName: string }>()
  readonly refusals = new Map<string, { message: string }>()
  isOver = false
  wakeAtMs: number | undefined
  #ids = 0

  constructor(spec: Partial<WorkloadSpecInput> = {}, nodes = ['a', 'b', 'c']) {
    this.nodes = nodes.map((name) => nodeOf(name))
    const parsed = WorkloadSpec.parse({ name: 'web', template: { v: 1 }, ...spec })
    this.workload = {
      id: 'w',
      owner: 'dev',
      spec: parsed,
      templateVersion: 1,
      templateVersionLast: 1,
      ...(isJob(parsed) && { job: { iteration: 0, startedAtMs: this.nowMs } }),
      createdAtMs: this.nowMs,
      updatedAtMs: this.nowMs,
    }
  }

  /** One decision, and its records are as it says. */
  step(): Decided {
    const decided = reconcile({
      nowMs: this.nowMs,
      workload: this.workload,
      status: this.status,
      tasks: [...this.tasks.values()],
      nodes: this.nodes,
      wants: { cpus: 1 },
      observed: (taskId) => this.cluster.get(taskId),
      refused: (taskId) => this.refusals.get(taskId),
      newId: () => `id${++this.#ids}`,
    })
    for (const [id, task] of decided.tasks) {
      if (task === undefined) this.tasks.delete(id)
      else this.tasks.set(id, task)
    }
    if (decided.status !== undefined) this.status = decided.status
    if (decided.workload !== undefined) this.workload = decided.workload
    this.isOver = decided.isOver
    this.wakeAtMs = decided.wakeAtMs
    return decided
  }

  /** Decides until nothing changes any more at this time. */
  decide(): void {
    for (let round = 0; round < 50; round++) {
      const { tasks, status, workload } = this.step()
      if (tasks.size === 0 && status === undefined && workload === undefined) return
    }
    throw new Error('it never comes to rest')
  }

  /** Agents do what they were told: launches run, kills end. */
  work(): void {
    for (const task of this.tasks.values()) {
      const known = this.cluster.get(task.taskId)
      if (task.desired === 'running' && task.state === 'assigned') this.launch(task)
      if (task.desired === 'running' && known?.state === 'TASK_STAGING') this.run(task)
      const isWanted = task.desired === 'running' || task.desired === 'ready'
      if (!isWanted && known !== undefined && !isEnded(known)) this.say(task, 'TASK_KILLED')
    }
  }

  /** Decides and works, and lets time pass, until nothing is left to do. */
  settle(rounds = 400): void {
    for (let round = 0; round < rounds; round++) {
      this.decide()
      const before = JSON.stringify([...this.cluster])
      this.work()
      const isIdle = JSON.stringify([...this.cluster]) === before
      if (isIdle && this.wakeAtMs === undefined) return
      if (isIdle) this.nowMs = Math.max(this.nowMs + 1, this.wakeAtMs ?? 0)
    }
  }

  /** Settles, and has all that runs end well, until nothing runs any more. */
  complete(): void {
    for (let round = 0; round < 100; round++) {
      this.settle()
      if (this.running.length === 0) return
      for (const task of this.running) this.say(task, 'TASK_FINISHED')
    }
    throw new Error('it is never complete')
  }

  launch(task: WorkloadTask): void {
    this.say(task, 'TASK_STAGING')
  }

  run(task: WorkloadTask): void {
    this.say(task, 'TASK_RUNNING')
  }

  say(task: WorkloadTask, state: string, more: Partial<Observed> = {}): void {
    const before = this.cluster.get(task.taskId)
    this.cluster.set(task.taskId, {
      frameworkId: 'f',
      agentId: task.agentId ?? '',
      containerId: `c-${task.id}`,
      nodeName: task.nodeName ?? '',
      hasRun: before?.hasRun === true || state === 'TASK_RUNNING',
      ...more,
      state,
    })
  }

  /** A new spec, as an update writes it. */
  want(change: Partial<WorkloadSpecInput>): void {
    const { spec, templateVersion, templateVersionLast, job } = this.workload
    const next = WorkloadSpec.parse({ ...spec, ...change })
    const isSame = JSON.stringify(next.template) === JSON.stringify(spec.template)
    const version = isSame ? templateVersion : templateVersionLast + 1
    this.workload = {
      ...this.workload,
      spec: next,
      templateVersion: version,
      templateVersionLast: Math.max(version, templateVersionLast),
      previous: { spec, templateVersion },
      ...(job !== undefined && { job: { iteration: job.iteration + 1, startedAtMs: this.nowMs } }),
    }
    this.status = {}
  }

  set(name: string, change: Partial<Node>): void {
    this.nodes = this.nodes.map((node) => (node.name === name ? { ...node, ...change } : node))
  }

  get live(): readonly WorkloadTask[] {
    return [...this.tasks.values()].filter(isLive)
  }

  get running(): readonly WorkloadTask[] {
    return this.live.filter(({ state, desired }) => state === 'running' && desired === 'running')
  }

  of(slot: string): readonly WorkloadTask[] {
    return [...this.tasks.values()].filter((task) => task.slot === slot)
  }

  /** Containers that run, whatever is wanted. */
  get containers(): number {
    return [...this.cluster.values()].filter((one) => !isEnded(one)).length
  }

  /** Containers of one slot that run. */
  containersIn(slot: string): number {
    const own = [...this.cluster].filter(([taskId]) => taskId.split('.')[1] === slot)
    return own.filter(([, one]) => !isEnded(one)).length
  }

  get ended(): readonly WorkloadTask[] {
    return [...this.tasks.values()].filter(({ state }) => isFinal(state))
  }
}

const isEnded = ({ state }: Observed): boolean => !/STAGING|STARTING|RUNNING|KILLING/.test(state)
