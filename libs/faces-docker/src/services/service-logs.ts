import {
  TaskNotFound,
  TaskNotRunning,
  type Caller,
  type LogsWanted,
  type TaskSession,
} from '@conclave/actors'
import type { Writable } from 'node:stream'
import { LogLines, type LogWriting } from '../containers/log-lines.ts'
import { send } from '../containers/streaming.ts'
import type { Engine } from '../engine.ts'
import type { TaskSeen } from './task-filters.ts'

/** What a client wants to have of the output of tasks. */
export interface TaskLogsWanted extends LogsWanted {
  readonly writing: Omit<LogWriting, 'details'>
  /** Whether each line says which task it is of. */
  readonly hasDetails: boolean
}

/** The output of many tasks in one stream, each line whole. Source: docker-swarm.md A10. */
export class TaskLogs {
  readonly #engine: Engine
  readonly #caller: Caller
  readonly #to: Writable
  readonly #wanted: TaskLogsWanted
  readonly #gone: AbortSignal
  readonly #begun = new Set<string>()
  /** By the task that it is of. */
  #opened: { readonly id: string; readonly session: TaskSession } | undefined

  constructor(o: {
    readonly engine: Engine
    readonly caller: Caller
    readonly to: Writable
    readonly wanted: TaskLogsWanted
    /** The client wants no more. */
    readonly gone: AbortSignal
  }) {
    this.#engine = o.engine
    this.#caller = o.caller
    this.#to = o.to
    this.#wanted = o.wanted
    this.#gone = o.gone
  }

  /** Opens the first of what will be read, so that the client is told if nothing can be: an answer has no way to. */
  async begin(tasks: readonly TaskSeen[]): Promise<void> {
    for (const seen of tasks) {
      const session = await this.#open(seen, this.#wanted)
      if (session === undefined) continue
      this.#opened = { id: seen.task.id, session }
      return
    }
  }

  /** What there is, one task after the other. */
  async read(tasks: readonly TaskSeen[]): Promise<void> {
    for (const seen of tasks) await this.#send(seen, this.#wanted)
  }

  /** What there is, what comes, and what tasks say that come later, until the client has gone. */
  async follow(tasks: () => Promise<readonly TaskSeen[]>): Promise<void> {
    const { workloads } = this.#engine.master
    const changes = workloads.watch(this.#caller, this.#gone)[Symbol.asyncIterator]()
    // Asked for before the first look, so that nothing happens in between unseen.
    let change = changes.next()
    let wanted: LogsWanted = this.#wanted
    while (!this.#gone.aborted) {
      for (const seen of await tasks()) void this.#follow(seen, wanted)
      // Of a task that comes later all is new.
      wanted = { ...wanted, tail: undefined }
      if ((await change).done === true) return
      change = changes.next()
    }
  }

  async #follow(seen: TaskSeen, wanted: LogsWanted): Promise<void> {
    const { id } = seen.task
    if (this.#begun.has(id)) return
    this.#begun.add(id)
    try {
      if (!(await this.#send(seen, wanted))) this.#begun.delete(id)
    } catch {
      // It is tried again when the task changes, as it does when another agent or master has it.
      this.#begun.delete(id)
    }
  }

  /** @returns whether there was anything to read from */
  async #send(seen: TaskSeen, wanted: LogsWanted): Promise<boolean> {
    const opened = this.#opened?.id === seen.task.id ? this.#opened.session : undefined
    if (opened !== undefined) this.#opened = undefined
    const session = opened ?? (await this.#open(seen, wanted))
    if (session === undefined) return false
    const close = (): void => session.close()
    this.#gone.addEventListener('abort', close, { once: true })
    if (this.#gone.aborted) close()
    const { writing, hasDetails } = this.#wanted
    const lines = new LogLines({ ...writing, ...(hasDetails && { details: detailsOf(seen) }) })
    try {
      for await (const output of session.output()) {
        if (output.kind === 'end') break
        for (const line of lines.write(output)) await send(this.#to, line)
      }
      for (const line of lines.end()) await send(this.#to, line)
    } finally {
      this.#gone.removeEventListener('abort', close)
    }
    return true
  }

  async #open({ task }: TaskSeen, wanted: LogsWanted): Promise<TaskSession | undefined> {
    const { follow, tail, sinceMs } = wanted
    try {
      return await this.#engine.master.tasks.logs(this.#caller, task.taskId, {
        follow,
        tail,
        sinceMs,
      })
    } catch (error) {
      // It has not begun, or what it said is not kept any more.
      if (error instanceof TaskNotFound || error instanceof TaskNotRunning) return undefined
      throw error
    }
  }
}

/** What the CLI takes the name of a line's task from. */
const detailsOf = ({ object }: TaskSeen): string =>
  [
    `com.docker.swarm.node.id=${object.NodeID ?? ''}`,
    `com.docker.swarm.service.id=${object.ServiceID}`,
    `com.docker.swarm.task.id=${object.ID}`,
  ].join(',')
