import type { AgentEffect } from './agent-effect.ts'
import type { AgentLimits } from './agent-options.ts'
import type { AgentSessions } from './agent-sessions.ts'
import type { AgentTask, TaskEnd } from './agent-task.ts'
import type { ContainerExit } from './container-runtime.ts'
import type { ContainerTree } from './container-tree.ts'
import type { Leaks } from './leaks/leaks.ts'
import { taskKey } from './status-updates.ts'
import { endOf, endOfKilledLaunch } from './task-status.ts'
import type { TaskTeller } from './task-teller.ts'
import { shortened } from './wording.ts'

export interface EndingHost {
  readonly limits: AgentLimits
  readonly tasks: Map<string, AgentTask>
  readonly containers: ContainerTree
  readonly sessions: AgentSessions
  readonly leaks: Leaks | undefined
  readonly teller: TaskTeller
  readonly ticks: () => number
  readonly ticksIn: (ms: number) => number
  /** The agent's id is over: no master hears of what ends. */
  readonly isOver: () => boolean
  readonly groupTaskEnded: (task: AgentTask, end: TaskEnd) => void
  /** One container fewer. */
  readonly gone: () => void
  readonly do: (effect: AgentEffect) => void
}

/** From the wish that a container ends, or its program's own end, to the last thing that is told of it. */
export class Endings {
  readonly #host: EndingHost
  /** To be destroyed as soon as nothing is nested in them any more. */
  readonly #emptying = new Set<AgentTask>()

  constructor(host: EndingHost) {
    this.#host = host
  }

  /** With the grace it is given, and told so where that is wanted. */
  askToEnd(task: AgentTask, graceMs: number, tellKilling: boolean): void {
    const killAtTick = this.#host.ticks() + this.#host.ticksIn(graceMs)
    // A later kill may shorten the grace, not lengthen it.
    task.killAtTick = Math.min(task.killAtTick, killAtTick)
    if (task.isKilled) return
    task.isKilled = true
    if (task.stage === 'waiting' || task.stage === 'resolving') {
      task.abandon()
      return this.finish(task, endOfKilledLaunch)
    }
    if (task.stage === 'preparing') {
      this.#host.do({ do: 'abandon-prepare', containerId: task.containerId })
    }
    if (task.stage !== 'running' && task.stage !== 'starting') return
    if (tellKilling) {
      this.#host.teller.update(task, { state: 'TASK_KILLING', source: 'SOURCE_EXECUTOR' })
    }
    if (task.stage === 'running') this.terminate(task)
  }

  /** Its program is asked to end, or made to where the grace is over. */
  terminate(task: AgentTask): void {
    const { containerId } = task
    const isOverdue = task.killAtTick <= this.#host.ticks()
    const ending = isOverdue
      ? ({ do: 'signal', containerId, signal: 'KILL' } as const)
      : endingOf(task)
    // There is nothing stronger that could follow.
    if (ending.do === 'signal' && ending.signal === 'KILL') task.killAtTick = Infinity
    this.#host.do(ending)
  }

  /** Without `signal`: whatever asks this program to end. Nobody says that it shall be gone after that. */
  signal(task: AgentTask, signal: string | undefined): void {
    const { containerId } = task
    this.#host.do(signal === undefined ? endingOf(task) : { do: 'signal', containerId, signal })
  }

  exited(containerId: string, exit: ContainerExit): void {
    const task = this.#host.containers.get(containerId)
    if (task === undefined || task.exit !== undefined) return
    task.exit = exit
    if (task.stage === 'running' || task.stage === 'starting') this.destroy(task)
  }

  /** What is nested in a container goes first: nothing outlives the place it is in. */
  destroy(task: AgentTask): void {
    task.stage = 'ending'
    const nested = this.#host.containers.nestedIn(task.containerId)
    if (nested.length === 0) return this.#host.do({ do: 'destroy', containerId: task.containerId })
    this.#emptying.add(task)
    for (const one of nested) this.endNow(one)
  }

  /** A container that waited for those within it to end. */
  #destroyEmptied(): void {
    for (const task of this.#emptying) {
      if (this.#host.containers.hasNested(task.containerId)) continue
      this.#emptying.delete(task)
      this.#host.do({ do: 'destroy', containerId: task.containerId })
    }
  }

  destroyed(containerId: string, failure: string | undefined): void {
    const task = this.#host.containers.get(containerId)
    if (task?.stage !== 'ending') return
    if (failure === undefined) this.#forgotten(task)
    this.finish(task, task.end ?? endOf(task, task.exit))
  }

  #forgotten(task: AgentTask): void {
    const files = task.placed.filter(({ where }) => where === 'tmpfs').length
    const variables = task.placed.length - files
    if (task.placed.length > 0)
      this.#host.teller.tell(task, { type: 'secret.forgotten', files, variables })
    task.placed = []
  }

  /** The last thing that is told of a task: nothing of its container is left by now. */
  finish(task: AgentTask, end: TaskEnd): void {
    const wasContainer = task.exit !== undefined
    const wasMade = task.stage === 'ending'
    const exitCode = task.exit?.exitCode
    task.stage = 'ended'
    task.abandon = () => {}
    task.end = end
    this.#host.containers.delete(task)
    this.#emptying.delete(task)
    this.#host.leaks?.gone(task)
    if (wasContainer) {
      const code = exitCode === undefined ? {} : { exitCode }
      this.#host.teller.tell(task, {
        type: 'container.ended',
        ...code,
        why: shortened(end.message),
      })
    }
    this.#host.sessions.neverStarted(task)
    if (wasContainer && task.owner === undefined) this.#host.sessions.keepOutput(task)
    else if (wasMade) this.#host.do({ do: 'forget-output', containerId: task.containerId })
    this.#destroyEmptied()
    if (this.#host.isOver()) {
      this.#host.tasks.delete(taskKey(task))
      // Whoever has it on this agent forgets it, too: no master hears of it.
      task.owner?.ended(end, task.exit)
      return this.#host.gone()
    }
    if (task.owner === undefined) this.#host.teller.update(task, end)
    else task.owner.ended(end, task.exit)
    if (task.role === 'group-task') this.#host.groupTaskEnded(task, end)
    this.#host.gone()
  }

  /** Without grace and without a word. */
  endNow(task: AgentTask): void {
    task.isKilled = true
    switch (task.stage) {
      case 'waiting':
      case 'resolving':
        task.abandon()
        return this.finish(task, endOfKilledLaunch)
      case 'starting':
      case 'running':
        return this.destroy(task)
      case 'ended':
        this.#host.tasks.delete(taskKey(task))
        return
      case 'preparing':
        return this.#host.do({ do: 'abandon-prepare', containerId: task.containerId })
      case 'ending':
        return
    }
  }

  /** A kill came while a container was being made, and it was made all the same. */
  endLaunch(task: AgentTask): void {
    task.end = endOfKilledLaunch
    this.destroy(task)
  }

  /** Between SIGTERM and SIGKILL, where whoever kills says nothing of it. */
  graceMsOf({ info }: AgentTask): number {
    const own = info.kill_policy?.grace_period?.nanoseconds
    return own === undefined ? this.#host.limits.killGraceMs : own / 1e6
  }

  /** How long a container that runs may run on: SIGKILL after the grace, and an end to what ran too long. */
  tick(task: AgentTask): void {
    if (task.stage !== 'running') return
    if (task.isKilled && this.#host.ticks() >= task.killAtTick) {
      task.killAtTick = Infinity
      this.#host.do({ do: 'signal', containerId: task.containerId, signal: 'KILL' })
    } else if (!task.isKilled && this.#host.ticks() >= task.overdueAtTick) {
      task.isOverdue = true
      this.askToEnd(task, this.graceMsOf(task), false)
    }
  }
}

/** What asks a task's program to end: its service's signal, else its image's where Docker would look there. */
function endingOf({ containerId, info, command }: AgentTask) {
  const { stop_signal: signal } = info.container?.service ?? {}
  const isDockers = (command ?? info.command)?.docker_arguments === true
  return signal === undefined && isDockers
    ? ({ do: 'ask-to-end', containerId } as const)
    : ({ do: 'signal', containerId, signal: signal ?? 'TERM' } as const)
}
