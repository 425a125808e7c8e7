import type { Clock, Random } from '@conclave/kernel'
import type { EventDraft, TaskStatus } from '@conclave/model'
import type { AgentTask, RunRequest } from './agent-task.ts'
import type { EventReport } from './event-report.ts'
import type { StatusUpdates, TaskName } from './status-updates.ts'
import { statusOf, type StatusSubject, type TaskNews } from './task-status.ts'

export interface TellerHost {
  readonly updates: StatusUpdates
  readonly report: EventReport
  readonly agentId: () => string | undefined
  /** The agent's id is over: no status is told in its name. */
  readonly isOver: () => boolean
  readonly ipAddress: string
  readonly clock: Clock
  readonly random: Random
}

type ContainerField = 'frameworkId' | 'taskId' | 'containerId' | 'agentId'
/** An event of one container, without the four names that all of them have. */
type TaskEvent = EventDraft extends infer Draft
  ? Draft extends { readonly containerId: string; readonly taskId: string }
    ? Omit<Draft, ContainerField>
    : never
  : never

/** What is told of tasks and their containers: statuses to frameworks, events to whoever watches. */
export class TaskTeller {
  readonly #host: TellerHost

  constructor(host: TellerHost) {
    this.#host = host
  }

  /** Of a container that is no task's own, its owner tells. */
  update(task: StatusSubject & TaskName & Partial<RunRequest>, news: TaskNews): void {
    if (this.#host.isOver() || task.owner !== undefined) return
    const { clock, random, ipAddress } = this.#host
    const agentId = this.#host.agentId()
    this.#host.updates.add(task, statusOf(task, news, { agentId, ipAddress, clock, random }))
  }

  /** A status that an executor made. Told twice, it is passed on once. */
  forward(task: TaskName, status: TaskStatus): void {
    const isRepeated = this.#host.updates.isWaiting(task, status.uuid)
    if (this.#host.isOver() || isRepeated || this.#host.updates.isFull(task)) return
    this.#host.updates.add(task, {
      ...status,
      agent_id: { value: this.#host.agentId() ?? '' },
      timestamp: status.timestamp ?? this.#host.clock.nowMs() / 1000,
    })
  }

  tell(task: AgentTask, told: TaskEvent): void {
    const { frameworkId, taskId, containerId } = task
    const agentId = this.#host.agentId() ?? ''
    this.#host.report.add({ ...told, frameworkId, taskId, containerId, agentId })
  }
}
