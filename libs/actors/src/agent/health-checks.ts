import type { AgentEffect } from './agent-effect.ts'
import type { AgentTask } from './agent-task.ts'
import type { ContainerTree } from './container-tree.ts'
import type { Endings } from './endings.ts'
import type { TaskTeller } from './task-teller.ts'

export interface HealthCheckHost {
  readonly containers: ContainerTree
  readonly endings: Endings
  readonly teller: TaskTeller
  readonly ticks: () => number
  readonly do: (effect: AgentEffect) => void
}

/** Asks running tasks whether they are well, tells what is new of that, and ends those that are not. */
export class HealthChecks {
  readonly #host: HealthCheckHost

  constructor(host: HealthCheckHost) {
    this.#host = host
  }

  tick({ stage, isKilled, containerId, health }: AgentTask): void {
    if (stage !== 'running' || isKilled || health === undefined) return
    switch (health.tick(this.#host.ticks())) {
      case 'ask': {
        const { argv, env } = health.plan
        return this.#host.do({ do: 'check', containerId, argv, env })
      }
      case 'give-up':
        this.#host.do({ do: 'abandon-check', containerId })
        return this.checked(containerId, false)
      case undefined:
        return
    }
  }

  checked(containerId: string, isSuccess: boolean): void {
    const task = this.#host.containers.get(containerId)
    if (task?.stage !== 'running' || task.health === undefined || task.isKilled) return
    const { healthy, isOver } = task.health.checked(isSuccess, this.#host.ticks())
    if (healthy !== undefined) {
      const reason = 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED'
      this.#host.teller.update(task, { state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR', reason })
    }
    if (!isOver) return
    task.isUnhealthy = true
    const { endings } = this.#host
    endings.askToEnd(task, endings.graceMsOf(task), false)
  }
}
