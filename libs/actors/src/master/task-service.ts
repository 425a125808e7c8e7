import { agentsIn, tasksIn, type RecordReader, type TaskRecord } from '@conclave/cluster'
import { addScalars, isTerminal, type TerminalSize } from '@conclave/model'
import type { Access } from './access.ts'
import type { AgentChannel } from './agents/agent-channel.ts'
import { NotLeader, TaskAmbiguous, TaskNotFound, TaskNotRunning } from './errors.ts'
import type {
  AgentView,
  Caller,
  ExecWanted,
  LogsWanted,
  TaskApi,
  TaskSession,
  TaskUsage,
  TaskView,
} from './master-api.ts'
import type { Replicated } from './replicated.ts'
import { operatorResource } from './resources.ts'
import type { TaskSessions } from './task-sessions.ts'
import { usageIn } from './task-usage.ts'
import type { Term } from './term.ts'

export interface TaskServiceOptions {
  readonly replicated: Replicated
  readonly reader: RecordReader
  readonly access: Access
  readonly sessions: TaskSessions
  /** The term of this master, while it leads and is ready. */
  readonly term: () => Term | undefined
  readonly channel: (connection: number) => AgentChannel | undefined
  /** Whose run a task is of. */
  readonly submitterOf: (taskId: string) => string | undefined
}

/** Tasks and agents. Any master lists them; into a container leads only the leader's way. */
export class TaskService implements TaskApi {
  readonly #options: TaskServiceOptions

  constructor(options: TaskServiceOptions) {
    this.#options = options
  }

  /** All tasks for an operator, and everybody's own. */
  async list(caller: Caller): Promise<readonly TaskView[]> {
    await this.#options.replicated.refresh()
    return this.#visible(caller).map(viewOf)
  }

  async find(caller: Caller, taskId: string): Promise<TaskView> {
    await this.#options.replicated.refresh()
    return viewOf(await this.#find(caller, taskId))
  }

  async kill(caller: Caller, taskId: string): Promise<TaskView> {
    const { term, task } = await this.#enterRunning(caller, taskId)
    if (!term.core?.kill(task.frameworkId, task.taskId)) throw new TaskNotRunning(task.taskId)
    term.flush()
    await term.settled()
    return viewOf(await this.#find(caller, task.taskId))
  }

  async signal(caller: Caller, taskId: string, signal: string | undefined): Promise<void> {
    const { channel, task } = await this.#enterRunning(caller, taskId)
    if (isTerminal(task.state)) throw new TaskNotRunning(task.taskId)
    channel.send({ type: 'signal-task', ...nameOf(task), signal })
  }

  async resize(caller: Caller, taskId: string, size: TerminalSize): Promise<void> {
    const { channel, task } = await this.#enterRunning(caller, taskId)
    if (isTerminal(task.state)) throw new TaskNotRunning(task.taskId)
    channel.send({ type: 'resize-task', ...nameOf(task), ...size })
  }

  /** A look at it, as `find` is: on no record. */
  async usage(caller: Caller, taskId: string): Promise<TaskUsage> {
    await this.#options.replicated.refresh()
    const task = await this.#find(caller, taskId)
    const term = this.#options.term()
    if (term === undefined) throw new NotLeader()
    const channel = this.#channelOf(term, task)
    const isAllowed = (): boolean => this.#maySee(caller, task)
    const session = this.#options.sessions.open(channel, isAllowed, (sessionId) => ({
      type: 'open-usage',
      sessionId,
      ...nameOf(task),
    }))
    let text = ''
    for await (const output of session.output()) {
      if (output.kind === 'data') text += Buffer.from(output.bytes).toString()
      if (text.length > usageSizeMax) break
    }
    const told = usageIn(text)
    if (told === undefined) throw new TaskNotRunning(task.taskId)
    return told
  }

  async logs(caller: Caller, taskId: string, wanted: LogsWanted): Promise<TaskSession> {
    const { channel, task } = await this.#enterRunning(caller, taskId)
    const isAllowed = (): boolean => this.#maySee(caller, task)
    return this.#options.sessions.open(channel, isAllowed, (sessionId) => ({
      type: 'open-logs',
      sessionId,
      ...nameOf(task),
      ...wanted,
    }))
  }

  async exec(caller: Caller, taskId: string, wanted: ExecWanted): Promise<TaskSession> {
    const { argv, env = {}, ...how } = wanted
    const { channel, task } = await this.#enterRunning(caller, taskId)
    if (isTerminal(task.state)) throw new TaskNotRunning(task.taskId)
    const isAllowed = (): boolean => this.#maySee(caller, task)
    return this.#options.sessions.open(channel, isAllowed, (sessionId) => ({
      type: 'open-exec',
      sessionId,
      ...nameOf(task),
      argv: [...argv],
      env: { ...env },
      ...how,
    }))
  }

  async agents(caller: Caller): Promise<readonly AgentView[]> {
    await this.#options.replicated.refresh()
    if (!this.#isOperator(caller)) throw await this.#denied(caller, 'agents')
    const running = tasksIn(this.#options.reader).filter(({ state }) => !isTerminal(state))
    return agentsIn(this.#options.reader).map((agent) => {
      const own = running.filter(({ agentId }) => agentId === agent.agentId)
      return {
        agentId: agent.agentId,
        hostname: agent.info.hostname,
        isActive: agent.state === 'active',
        runtime: agent.runtime,
        registeredAtMs: agent.registeredAtMs,
        tasks: own.length,
        resources: usage(
          agent.info.resources,
          own.flatMap(({ info }) => info.resources),
        ),
      }
    })
  }

  /** @throws NotLeader, AccessDenied, TaskNotFound, TaskAmbiguous, TaskNotRunning */
  async #enterRunning(
    caller: Caller,
    taskId: string,
  ): Promise<{ term: Term; channel: AgentChannel; task: TaskRecord }> {
    await this.#options.replicated.refresh()
    const task = await this.#find(caller, taskId)
    const term = this.#options.term()
    if (term === undefined) throw new NotLeader()
    await this.#options.access.audit(caller, 'administer', `task/${task.taskId}`, 'allowed')
    return { term, channel: this.#channelOf(term, task), task }
  }

  /** @throws TaskNotRunning */
  #channelOf(term: Term, { agentId, taskId }: TaskRecord): AgentChannel {
    const connection = term.core?.connectionOf(agentId)
    const channel = connection === undefined ? undefined : this.#options.channel(connection)
    if (channel === undefined) throw new TaskNotRunning(taskId)
    return channel
  }

  /** Among the tasks that the caller may see: of all others nothing is said, not even that they are. */
  async #find(caller: Caller, taskId: string): Promise<TaskRecord> {
    const tasks = this.#visible(caller)
    const exact = tasks.filter((task) => task.taskId === taskId)
    const found =
      exact.length > 0 || taskId === ''
        ? exact
        : tasks.filter((task) => task.taskId.startsWith(taskId))
    const [task] = found
    if (found.length > 1) throw new TaskAmbiguous(taskId, found.length)
    if (task !== undefined) return task
    throw this.#isOperator(caller)
      ? new TaskNotFound(taskId)
      : await this.#denied(caller, `task/${taskId.slice(0, 255)}`)
  }

  #visible(caller: Caller): readonly TaskRecord[] {
    const tasks = tasksIn(this.#options.reader)
    if (this.#isOperator(caller)) return tasks
    const { uid } = caller.principal
    return tasks.filter(({ taskId }) => this.#options.submitterOf(taskId) === uid)
  }

  #maySee(caller: Caller, { taskId }: TaskRecord): boolean {
    if (!this.#options.access.isValid(caller)) return false
    const isOwn = this.#options.submitterOf(taskId) === caller.principal.uid
    return isOwn || this.#isOperator(caller)
  }

  #isOperator(caller: Caller): boolean {
    return this.#options.access.may(caller, operatorResource, 'full')
  }

  #denied(caller: Caller, what: string): Promise<Error> {
    return this.#options.access.denied(caller, 'administer', operatorResource, 'full', what)
  }
}

/** What an agent says of one task is a few numbers. */
const usageSizeMax = 4096

const nameOf = ({ frameworkId, taskId }: TaskRecord) => ({ frameworkId, taskId })

const viewOf = (task: TaskRecord): TaskView => ({
  taskId: task.taskId,
  frameworkId: task.frameworkId,
  agentId: task.agentId,
  name: task.info.name,
  state: task.state,
  isTerminal: isTerminal(task.state),
  reason: task.reason,
  message: task.message,
  updatedAtMs: task.updatedAtMs,
})

type Amounts = readonly {
  readonly name: string
  readonly scalar?: { readonly value: number } | undefined
}[]

function usage(
  total: Amounts,
  used: Amounts,
): Readonly<Record<string, { readonly total: number; readonly used: number }>> {
  const sums = new Map<string, { total: number; used: number }>()
  const add = (amounts: Amounts, of: 'total' | 'used'): void => {
    for (const { name, scalar } of amounts) {
      if (scalar === undefined) continue
      const sum = sums.get(name) ?? { total: 0, used: 0 }
      sum[of] = addScalars(sum[of], scalar.value)
      sums.set(name, sum)
    }
  }
  add(total, 'total')
  add(used, 'used')
  return Object.fromEntries(sums)
}
