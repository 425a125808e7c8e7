import type { CheckedContainer, Plan } from '@conclave/isolators'
import { Redacted, uuid, type Random, type RedactedBytes } from '@conclave/kernel'
import {
  ContainerConfig,
  ContainerLaunchInfo,
  ExecutorInfo,
  partsIn,
  Secret,
  Task,
  TaskInfo,
  type Message,
} from '@conclave/model'
import { wipeResolved, type Resolved, type Resolver } from '@conclave/resolver'
import type { AgentTask } from '../agent-task.ts'
import { rootOf } from '../container-name.ts'
import type { HelperProcess } from '../container-runtime.ts'
import type { Executor, ExecutorTask } from '../executors/executor.ts'
import {
  checkpointed,
  checkpointedTask,
  containerConfig,
  executorOf,
  hasValues,
  helpersOf,
  launchInfoOf,
  secretCopiesOf,
} from './checkpoints.ts'
import {
  below,
  checkpointMode,
  containerPath,
  executorPath,
  secretCopiesPath,
  secretCopyMode,
  type LeftPath,
} from './left-file.ts'

export interface LeaksHost {
  readonly resolver: Resolver
  readonly random: Random
  readonly agentId: () => string
  /** Ended runs whose checkpoints are kept. Mesos keeps them for a week. */
  readonly runsKept: number
  /** The bytes are whoever's that gets them. */
  readonly leave: (at: LeftPath, bytes: RedactedBytes, mode: number) => void
  readonly remove: (at: LeftPath) => void
  /** A value can be read there now. */
  readonly tell: (container: LeakedContainer, where: 'disk' | 'process', at: string) => void
}

interface LeakedContainer {
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
}

/** Values that a teacher may look at. */
const valuesMax = 256

/**
 * What Mesos' agent gives away of values (mesos.md §21), for teaching: there is one in an agent that was told
 * to leak, and none in any other. It decides what lies where, and when it is gone; what keeps the state
 * endpoints supplied with inline values is here, too.
 *
 * 1. Nothing of a container but its checkpoints outlives it, and those are a bounded number of runs.
 * 2. Whatever holds a value is told of, by its place.
 */
export class Leaks {
  readonly #host: LeaksHost
  readonly #values = new Map<string, RedactedBytes>()
  /** Copies that the helper has not moved yet, by container. */
  readonly #copies = new Map<string, readonly LeftPath[]>()
  /** Runs whose executor or tasks are checkpointed, by container; ended ones last, the oldest of them first. */
  readonly #runs = new Map<string, { readonly executor: LeftPath; isOver: boolean }>()

  constructor(host: LeaksHost) {
    this.#host = host
  }

  /** Inline values by the ids of their envelopes. */
  get values(): ReadonlyMap<string, RedactedBytes> {
    return this.#values
  }

  /** The secrets of a container have been answered: before anything of it is made, or refused. */
  resolved(
    task: AgentTask,
    { command, secrets }: CheckedContainer,
    resolved: readonly Resolved[],
  ): void {
    const wanted = secrets.map(({ secret }) => secret)
    this.#keep(wanted, resolved)
    const own = new Map(
      wanted.flatMap((secret, index): [Secret, RedactedBytes][] => {
        const one = resolved[index]
        return secret.type === 'VALUE' && one?.outcome === 'value' ? [[secret, one.bytes]] : []
      }),
    )
    const valueOf = this.#valueIn(own)
    const { agentId } = this.#host
    const { frameworkId, executorId, containerId } = task
    const executor = executorOf(task)
    if (task.isCheckpointed === true && executor !== undefined) {
      const path = executorPath(agentId(), frameworkId, executorId)
      this.#runs.set(containerId, { executor: path, isOver: false })
      this.#write(task, below(path, 'executor.info'), ExecutorInfo, executor, valueOf)
    }
    if (task.isCheckpointed === true && task.role !== 'executor') {
      this.#checkpoint(task, task.role === 'task' ? containerId : rootOf(containerId), valueOf)
    }
    if (!isOfMesos(task)) return
    const config = containerConfig(task, command)
    this.#write(task, below(containerPath(containerId), 'config'), ContainerConfig, config, valueOf)
  }

  /** Its plan is made and not carried out. @returns what stands beside its program */
  planned(
    task: AgentTask,
    command: CheckedContainer['command'],
    plan: Plan,
  ): Redacted<readonly HelperProcess[]> | undefined {
    if (!isOfMesos(task)) return undefined
    const { containerId } = task
    const at = secretCopiesPath(containerId)
    const copies = secretCopiesOf(plan).map((bytes) => {
      const copy = below(at, uuid(this.#host.random))
      this.#host.leave(copy, bytes, secretCopyMode)
      this.#host.tell(task, 'disk', copy.join('/'))
      return copy
    })
    if (copies.length > 0) this.#copies.set(containerId, copies)
    const info = launchInfoOf(task, command, plan)
    const file = below(containerPath(containerId), 'launch_info')
    this.#host.leave(file, checkpointed(ContainerLaunchInfo, info, noValue), checkpointMode)
    if (hasValues(plan)) {
      this.#host.tell(task, 'disk', file.join('/'))
      this.#host.tell(
        task,
        'process',
        'mesos-containerizer launch: MESOS_CONTAINERIZER_LAUNCH_INFO',
      )
      if (task.role === 'task')
        this.#host.tell(task, 'process', 'mesos-executor --task_environment')
    }
    return helpersOf(task, info)
  }

  /** The helper has moved every copy into the container. Their directory stays. */
  prepared({ containerId }: AgentTask): void {
    for (const copy of this.#copies.get(containerId) ?? []) this.#host.remove(copy)
    this.#copies.delete(containerId)
  }

  /** Nothing of the container is left, or it never was one. */
  gone({ containerId }: AgentTask): void {
    this.#copies.delete(containerId)
    this.#host.remove(secretCopiesPath(containerId))
    // Of a nested one Mesos keeps how it ended, beside the rest, until its root is gone.
    if (rootOf(containerId) === containerId) this.#host.remove(containerPath(containerId))
    const run = this.#runs.get(containerId)
    if (run === undefined) return
    this.#runs.delete(containerId)
    this.#runs.set(containerId, { ...run, isOver: true })
    this.#collect()
  }

  /** An operator or an executor removes what is left of a nested one. */
  removed(name: string): void {
    this.#host.remove(containerPath(name))
  }

  /** Mesos' LAUNCH has the values that the framework sent. Those of an executor's task nobody else asks for here. */
  ofTask(executor: Executor, task: ExecutorTask, then: () => void): void {
    const { frameworkId, taskId, recordId: containerId, info } = task
    const { executor: _own, ...rest } = info
    const secrets = partsIn(TaskInfo, rest, Secret).filter(({ value }) => value?.sealed)
    const wanted = secrets.map((secret) => ({ secret, purpose: 'leak to an executor' }))
    this.#host.resolver.resolve({ frameworkId, taskId, containerId }, wanted, (resolved) => {
      this.#keep(secrets, resolved)
      wipeResolved(resolved)
      if (executor.framework?.checkpoint === true) {
        const { executorId } = executor
        this.#checkpoint(
          { ...task, executorId, containerId },
          executor.containerId,
          this.#valueIn(),
        )
      }
      then()
    })
  }

  #checkpoint(
    task: LeakedContainer & { readonly executorId: string; readonly info: TaskInfo },
    run: string,
    valueOf: (secret: Secret) => RedactedBytes | undefined,
  ): void {
    const { frameworkId, executorId, taskId, info } = task
    const executor = executorPath(this.#host.agentId(), frameworkId, executorId)
    const at = below(executor, 'runs', run, 'tasks', taskId, 'task.info')
    this.#write(task, at, Task, checkpointedTask(info, frameworkId, executorId), valueOf)
  }

  #write<T>(
    task: LeakedContainer,
    at: LeftPath,
    kind: Message<T>,
    value: T,
    valueOf: (secret: Secret) => RedactedBytes | undefined,
  ): void {
    let hasValue = false
    const bytes = checkpointed(kind, value, (secret) => {
      const found = valueOf(secret)
      hasValue ||= found !== undefined
      return found
    })
    this.#host.leave(at, bytes, checkpointMode)
    if (hasValue) this.#host.tell(task, 'disk', at.join('/'))
  }

  #valueIn(own?: ReadonlyMap<Secret, RedactedBytes>) {
    return (secret: Secret): RedactedBytes | undefined =>
      own?.get(secret) ?? this.#values.get(secret.value?.sealed?.id ?? '')
  }

  #keep(secrets: readonly Secret[], resolved: readonly Resolved[]): void {
    for (const [index, secret] of secrets.entries()) {
      const { sealed } = secret.value ?? {}
      const one = resolved[index]
      if (sealed === undefined || one?.outcome !== 'value') continue
      this.#values.set(sealed.id, new Redacted(one.bytes.reveal().slice()))
      const [oldest] = this.#values.keys()
      if (oldest !== undefined && this.#values.size > valuesMax) this.#values.delete(oldest)
    }
  }

  /** In the place of Mesos' collection of garbage. */
  #collect(): void {
    const ended = [...this.#runs].filter(([, { isOver }]) => isOver)
    const tooMany = Math.max(0, ended.length - this.#host.runsKept)
    for (const [containerId, { executor }] of ended.slice(0, tooMany)) {
      this.#runs.delete(containerId)
      const path = executor.join('/')
      // An executor's id may have been used again.
      const isUsed = [...this.#runs.values()].some((one) => one.executor.join('/') === path)
      this.#host.remove(isUsed ? below(executor, 'runs', containerId) : executor)
    }
  }
}

/** Docker's containers have none of Mesos' files and helpers, and services are those. */
function isOfMesos({ container, info }: AgentTask): boolean {
  const { type, service } = container ?? info.container ?? {}
  return type !== 'DOCKER' && service === undefined
}

const noValue = (): undefined => undefined
