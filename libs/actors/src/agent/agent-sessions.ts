import type { ToAgent } from '@conclave/model'
import type { AgentEffect, AgentInput } from './agent-effect.ts'
import type { AgentTask, WaitingLogs } from './agent-task.ts'
import type { ExecHow, OutputWanted } from './container-runtime.ts'
import { taskKey, type TaskName } from './status-updates.ts'
import { shortened } from './wording.ts'

type Told<Type extends ToAgent['type']> = Extract<ToAgent, { type: Type }>

export interface AgentSessionsOptions {
  readonly taskOf: (name: TaskName) => AgentTask | undefined
  /** So many containers that have ended keep their output. */
  readonly endedOutputsMax: number
  readonly do: (effect: AgentEffect) => void
}

/** A container of a task that has ended. */
export interface EndedContainer {
  readonly frameworkId: string
  readonly executorId: string
  readonly containerId: string
}

interface EndedOutput extends EndedContainer {
  readonly exitCode: number | undefined
}

interface Session {
  /** Whose output it is; an exec has output and an exit code of its own. */
  readonly logsOf: TaskName | undefined
}

/**
 * Who watches the output of containers, and who runs something in them. A session belongs to one
 * connection to a master and ends with it.
 */
export class AgentSessions {
  readonly #options: AgentSessionsOptions
  readonly #sessions = new Map<string, Session>()
  /** By task: the newest container of each that has ended, oldest first. */
  readonly #ended = new Map<string, EndedOutput>()

  constructor(options: AgentSessionsOptions) {
    this.#options = options
  }

  openLogs({ sessionId, frameworkId, taskId, ...told }: Told<'open-logs'>): void {
    const name = { frameworkId, taskId }
    const { follow, tail, sinceMs, isAttached = false } = told
    const wanted: OutputWanted = { follow, tail, sinceMs }
    const task = this.#options.taskOf(name)
    this.#sessions.set(sessionId, { logsOf: name })
    if (task !== undefined && task.stage !== 'ended') {
      if (task.stage === 'running' || task.stage === 'ending') {
        const { containerId } = task
        return this.#openLogs(containerId, { sessionId, wanted, isAttached })
      }
      task.waitingLogs.push({ sessionId, wanted, isAttached })
      return
    }
    const ended = this.#ended.get(taskKey(name))
    if (ended === undefined) {
      return this.#end(sessionId, { error: `there is no output of task ${taskId}` })
    }
    this.#options.do({ do: 'open-logs', sessionId, containerId: ended.containerId, wanted })
  }

  /** Sessions that were opened during the launch begin. */
  started({ containerId, waitingLogs }: AgentTask): void {
    for (const waiting of waitingLogs.splice(0)) {
      if (this.#sessions.has(waiting.sessionId)) this.#openLogs(containerId, waiting)
    }
  }

  neverStarted({ waitingLogs }: AgentTask): void {
    for (const { sessionId } of waitingLogs.splice(0)) {
      this.#end(sessionId, { error: 'the container never started' })
    }
  }

  /** A container has ended, and its output can be read for a while. */
  keepOutput(task: AgentTask): void {
    const key = taskKey(task)
    this.#forgetOutput(key)
    const { frameworkId, executorId, containerId, exit } = task
    this.#ended.set(key, { frameworkId, executorId, containerId, exitCode: exit?.exitCode })
    const [oldest] = this.#ended.keys()
    if (oldest !== undefined && this.#ended.size > this.#options.endedOutputsMax) {
      this.#forgetOutput(oldest)
    }
  }

  /** Containers that have ended and whose output is kept, oldest first. */
  endedContainers(): readonly EndedContainer[] {
    return [...this.#ended.values()]
  }

  openExec({ sessionId, frameworkId, taskId, argv, env, ...told }: Told<'open-exec'>): void {
    const { user, workdir, terminal, mustStart, archive } = told
    const how: ExecHow = { user, workdir, terminal, mustStart, archive }
    const task = this.#options.taskOf({ frameworkId, taskId })
    this.#sessions.set(sessionId, { logsOf: undefined })
    if (task?.stage !== 'running') {
      return this.#end(sessionId, { error: `task ${taskId} is not running` })
    }
    const { containerId } = task
    this.#options.do({ do: 'open-exec', sessionId, containerId, argv, env, how })
  }

  openUsage({ sessionId, frameworkId, taskId }: Told<'open-usage'>): void {
    const task = this.#options.taskOf({ frameworkId, taskId })
    this.#sessions.set(sessionId, { logsOf: undefined })
    if (task?.stage !== 'running') {
      return this.#end(sessionId, { error: `task ${taskId} is not running` })
    }
    this.#options.do({ do: 'open-usage', sessionId, containerId: task.containerId })
  }

  input({ sessionId, data }: Told<'session-input'>): void {
    if (!this.#sessions.has(sessionId)) return
    const bytes = new Uint8Array(Buffer.from(data, 'base64'))
    this.#options.do({ do: 'write-session', sessionId, bytes })
  }

  endInput({ sessionId }: Told<'session-input-end'>): void {
    if (this.#sessions.has(sessionId)) this.#options.do({ do: 'end-session-input', sessionId })
  }

  signal({ sessionId, signal }: Told<'session-signal'>): void {
    if (!this.#sessions.has(sessionId)) return
    this.#options.do({ do: 'signal-session', sessionId, signal })
  }

  resize({ sessionId, rows, columns }: Told<'session-resize'>): void {
    if (!this.#sessions.has(sessionId)) return
    this.#options.do({ do: 'resize-session', sessionId, size: { rows, columns } })
  }

  hold(sessionId: string, isHeld: boolean): void {
    if (this.#sessions.has(sessionId)) this.#options.do({ do: 'hold-session', sessionId, isHeld })
  }

  close(sessionId: string): void {
    if (this.#sessions.delete(sessionId)) this.#options.do({ do: 'close-session', sessionId })
  }

  closeAll(): void {
    for (const sessionId of this.#sessions.keys()) this.close(sessionId)
  }

  output({ sessionId, chunk }: Extract<AgentInput, { kind: 'session-output' }>): void {
    if (!this.#sessions.has(sessionId)) return
    const { stream, bytes, atMs } = chunk
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
    this.#options.do({
      do: 'send',
      message: {
        type: 'session-output',
        sessionId,
        stream,
        data,
        ...(atMs !== undefined && { atMs }),
      },
    })
  }

  taken({ sessionId, sizeBytes }: Extract<AgentInput, { kind: 'session-taken' }>): void {
    if (!this.#sessions.has(sessionId)) return
    this.#options.do({ do: 'send', message: { type: 'session-taken', sessionId, sizeBytes } })
  }

  ended({ sessionId, exitCode, error }: Extract<AgentInput, { kind: 'session-ended' }>): void {
    const { logsOf } = this.#sessions.get(sessionId) ?? {}
    const code = exitCode ?? (logsOf === undefined ? undefined : this.#exitCodeOf(logsOf))
    this.#end(sessionId, {
      ...(code === undefined ? {} : { exitCode: code }),
      ...(error === undefined ? {} : { error: shortened(error) }),
    })
  }

  #openLogs(containerId: string, { sessionId, wanted, isAttached }: WaitingLogs): void {
    const attached = isAttached ? { isAttached } : {}
    this.#options.do({ do: 'open-logs', sessionId, containerId, wanted, ...attached })
  }

  #exitCodeOf(name: TaskName): number | undefined {
    return this.#options.taskOf(name)?.exit?.exitCode ?? this.#ended.get(taskKey(name))?.exitCode
  }

  #forgetOutput(key: string): void {
    const ended = this.#ended.get(key)
    if (ended === undefined) return
    this.#ended.delete(key)
    this.#options.do({ do: 'forget-output', containerId: ended.containerId })
  }

  #end(sessionId: string, end: { exitCode?: number; error?: string }): void {
    if (!this.#sessions.delete(sessionId)) return
    this.#options.do({ do: 'send', message: { type: 'session-end', sessionId, ...end } })
  }
}
