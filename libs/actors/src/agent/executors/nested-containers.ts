import { defaultClusterLimits, secretCountProblem } from '@conclave/cluster'
import { CommandInfo, ContainerInfo, parseOurs, partsIn, Secret, TaskInfo } from '@conclave/model'
import type { AgentTask, RunRequest, TaskEnd } from '../agent-task.ts'
import type { LocalSession, LocalSessions, SessionSink } from '../api/local-sessions.ts'
import { argumentsOf } from '../command.ts'
import { parentOf, rootOf } from '../container-name.ts'
import type { ContainerExit } from '../container-runtime.ts'
import type { Executors } from './executors.ts'

export interface NestedHost {
  readonly limits: { readonly endedOutputsMax: number }
  readonly get: (containerId: string) => AgentTask | undefined
  readonly run: (request: RunRequest) => AgentTask
  readonly end: (task: AgentTask) => void
  readonly signal: (containerId: string, signal: string) => void
  readonly executors: Executors
  readonly sessions: LocalSessions
  readonly agentId: () => string
  /** One that has ended was removed. */
  readonly removed: (containerId: string) => void
}

export interface WantedContainer {
  /** As `containerName` writes it. */
  readonly name: string
  readonly command: CommandInfo | undefined
  readonly container: ContainerInfo | undefined
}

/** How a container ended that somebody asked for. */
export interface ContainerEnd {
  readonly message: string
  readonly exit: ContainerExit | undefined
}

export type LaunchAnswer =
  | { readonly outcome: 'launched' | 'exists' | 'no-parent' | 'unsupported' }
  /** In the containerizer's own words. */
  | { readonly outcome: 'failed'; readonly why: string }

interface Known {
  readonly waiting: ((end: ContainerEnd) => void)[]
  session: LocalSession | undefined
  end: ContainerEnd | undefined
}

/**
 * Containers that executors and operators ask this agent for: nested ones, below a container that runs;
 * standalone ones; and sessions, which are a program beside the one of their parent and see what it
 * sees, its secrets too. Source: mesos.md §7, §14.
 */
export class NestedContainers {
  readonly #host: NestedHost
  readonly #known = new Map<string, Known>()
  /** The longest ended first: those are forgotten first. */
  readonly #endedNames = new Set<string>()

  constructor(host: NestedHost) {
    this.#host = host
  }

  /** Answers once it runs, or cannot. */
  launch({ name, command, container }: WantedContainer, answer: (a: LaunchAnswer) => void): void {
    if (this.#known.has(name) || this.#host.get(name) !== undefined) {
      return answer({ outcome: 'exists' })
    }
    const parent = parentOf(name)
    if (parent !== undefined && this.#host.get(parent)?.stage !== 'running') {
      return answer({ outcome: 'no-parent' })
    }
    if (container?.type === 'DOCKER') return answer({ outcome: 'unsupported' })
    const { secretsPerTaskMax } = defaultClusterLimits
    const { length } = secretsOf(command, container)
    // No master has looked at it, and the agent asks for each of them on its own.
    const why = secretCountProblem('Container', length, secretsPerTaskMax)
    if (why !== undefined) return answer({ outcome: 'failed', why })
    const known = this.#add(name)
    let isAnswered = false
    this.#host.run({
      ...this.#whose(name, command, container),
      role: 'nested',
      containerId: name,
      isStandalone: parent === undefined,
      command: command ?? { uris: [], arguments: [] },
      container,
      owner: {
        started: () => {
          isAnswered = true
          answer({ outcome: 'launched' })
        },
        ended: ({ message }: TaskEnd, exit) => {
          if (!isAnswered) {
            this.#known.delete(name)
            answer({ outcome: 'failed', why: message })
          }
          this.#ended(name, known, { message, exit })
        },
      },
    })
  }

  /**
   * Whose grants count: those of a task of the executor that names one of the secrets in its own spec,
   * else those of the task that the executor began with. A container gets nothing that was granted to
   * no task of its executor.
   */
  #whose(
    name: string,
    command: CommandInfo | undefined,
    container: ContainerInfo | undefined,
  ): Pick<RunRequest, 'frameworkId' | 'taskId' | 'executorId' | 'recordId' | 'info'> {
    const root = rootOf(name)
    const executor = this.#host.executors.ofContainer(root)
    const above = this.#host.get(root)
    const info = (taskId: string): TaskInfo =>
      parseOurs(TaskInfo, {
        name,
        task_id: { value: taskId },
        agent_id: { value: this.#host.agentId() },
      })
    if (above === undefined) {
      const none = { frameworkId: '', taskId: '', executorId: '', recordId: name }
      return { ...none, info: info('') }
    }
    const secrets = secretsOf(command, container)
    const names = new Set(secrets.flatMap(({ reference }) => reference?.name ?? []))
    const task = [...(executor?.tasks.values() ?? [])].find((one) =>
      partsIn(TaskInfo, one.info, Secret).some(({ reference }) => names.has(reference?.name ?? '')),
    )
    const { frameworkId, executorId } = above
    const { taskId, recordId } = task ?? above
    return { frameworkId, taskId, executorId, recordId, info: info(taskId) }
  }

  /** Runs a program in the parent, until it ends or its client goes. */
  session(
    { name, command, container }: WantedContainer,
    sink: SessionSink,
    answer: (a: LaunchAnswer) => void,
  ): LocalSession | undefined {
    const refuse = (a: LaunchAnswer): undefined => answer(a) as undefined
    if (this.#known.has(name) || this.#host.get(name) !== undefined) {
      return refuse({ outcome: 'exists' })
    }
    const parent = this.#host.get(parentOf(name) ?? '')
    if (parent?.stage !== 'running') return refuse({ outcome: 'no-parent' })
    if (container?.type === 'DOCKER') return refuse({ outcome: 'unsupported' })
    if ((container?.volumes ?? []).length > 0) {
      const why = 'Volumes not supported for DEBUG containers'
      return refuse({ outcome: 'failed', why })
    }
    const variables = command?.environment?.variables ?? []
    if (variables.some(({ type }) => type === 'SECRET')) {
      const why = 'a session has the secrets of its parent, and none of its own'
      return refuse({ outcome: 'failed', why })
    }
    if (command?.value === undefined || command.value === '') {
      return refuse({
        outcome: 'failed',
        why: 'command.value is empty: there is no program to run',
      })
    }
    const env = Object.fromEntries(variables.map((one) => [one.name, one.value ?? '']))
    const known = this.#add(name)
    answer({ outcome: 'launched' })
    known.session = this.#host.sessions.exec(
      parent.containerId,
      argumentsOf(command, undefined),
      env,
      {
        get waitingBytes() {
          return sink.waitingBytes
        },
        output: (chunk) => sink.output(chunk),
        ended: (end) => {
          const { exitCode, error = '' } = end
          this.#ended(name, known, {
            message: error,
            exit: exitCode === undefined ? undefined : { exitCode },
          })
          sink.ended(end)
        },
      },
    )
    return known.session
  }

  /** The session that a container is, if it is one that runs. */
  sessionOf(name: string): LocalSession | undefined {
    const known = this.#known.get(name)
    return known?.end === undefined ? known?.session : undefined
  }

  /** @returns whether there is such a container */
  wait(name: string, answer: (end: ContainerEnd) => void): boolean {
    const known = this.#known.get(name)
    if (known === undefined) return false
    if (known.end === undefined) known.waiting.push(answer)
    else answer(known.end)
    return true
  }

  kill(name: string, signal: string): boolean {
    const known = this.#known.get(name)
    if (known === undefined) return false
    if (known.end !== undefined) return true
    if (known.session !== undefined) known.session.signal(signal)
    else this.#host.signal(name, signal)
    return true
  }

  /** Forgets a container that has ended. */
  remove(name: string): 'removed' | 'unknown' | 'running' {
    const known = this.#known.get(name)
    if (known === undefined) return 'unknown'
    if (known.end === undefined) return 'running'
    this.#known.delete(name)
    this.#endedNames.delete(name)
    this.#host.removed(name)
    return 'removed'
  }

  /** Those that stand alone: others end with the container they are in. */
  endAll(): void {
    for (const name of this.#known.keys()) {
      const task = this.#host.get(name)
      if (task !== undefined && parentOf(name) === undefined) this.#host.end(task)
    }
  }

  /** Sessions that run, by the containers they are. */
  sessions(): readonly string[] {
    return [...this.#known].flatMap(([name, { session, end }]) =>
      session !== undefined && end === undefined ? [name] : [],
    )
  }

  #add(name: string): Known {
    const known: Known = { waiting: [], session: undefined, end: undefined }
    this.#known.set(name, known)
    return known
  }

  #ended(name: string, known: Known, end: ContainerEnd): void {
    known.end = end
    for (const answer of known.waiting.splice(0)) answer(end)
    if (this.#known.get(name) !== known) return
    this.#endedNames.add(name)
    for (const oldest of this.#endedNames) {
      if (this.#endedNames.size <= this.#host.limits.endedOutputsMax) break
      this.#endedNames.delete(oldest)
      this.#known.delete(oldest)
    }
  }
}

const secretsOf = (
  command: CommandInfo | undefined,
  container: ContainerInfo | undefined,
): readonly Secret[] => [
  ...(command === undefined ? [] : partsIn(CommandInfo, command, Secret)),
  ...(container === undefined ? [] : partsIn(ContainerInfo, container, Secret)),
]
