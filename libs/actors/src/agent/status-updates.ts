import { isTerminal, type FromAgent, type TaskStatus } from '@conclave/model'

export interface TaskName {
  readonly frameworkId: string
  readonly taskId: string
}

export interface StatusUpdatesOptions {
  readonly send: (message: FromAgent) => void
  /** A terminal status was acknowledged: nobody will ask for the task again. */
  readonly onAllAcknowledged: (task: TaskName) => void
  readonly retryFirstTicks: number
  readonly retryMaxTicks: number
}

interface Stream {
  readonly task: TaskName
  /** The first one is outstanding; the others wait for its acknowledgement. */
  readonly waiting: TaskStatus[]
  retryAtTick: number
  retryTicks: number
}

/** Statuses of one task that wait for their turn. */
const waitingMax = 1000

/** JSON, because a task id may hold any separator. */
export const taskKey = ({ frameworkId, taskId }: TaskName): string =>
  JSON.stringify([frameworkId, taskId])

/**
 * Status updates on their way: one at a time for each task, in order, each sent again until it is
 * acknowledged (docs/architecture.md, C1). Source: reference/mesos.md §5.4.
 */
export class StatusUpdates {
  readonly #options: StatusUpdatesOptions
  readonly #streams = new Map<string, Stream>()
  #isConnected = false
  #ticks = 0

  constructor(options: StatusUpdatesOptions) {
    this.#options = options
  }

  add(task: TaskName, status: TaskStatus): void {
    const key = taskKey(task)
    let stream = this.#streams.get(key)
    if (stream === undefined) {
      stream = { task, waiting: [], retryAtTick: 0, retryTicks: 0 }
      this.#streams.set(key, stream)
    }
    stream.waiting.push(status)
    if (stream.waiting.length === 1) this.#sendFirst(stream)
  }

  /**
   * A uuid that is not the outstanding one's is of an earlier life, and changes nothing.
   * @returns the status that was acknowledged
   */
  acknowledge(task: TaskName, uuid: string): TaskStatus | undefined {
    const key = taskKey(task)
    const stream = this.#streams.get(key)
    const first = stream?.waiting[0]
    if (stream === undefined || first === undefined || first.uuid !== uuid) return undefined
    stream.waiting.shift()
    if (stream.waiting.length > 0) {
      this.#sendFirst(stream)
      return first
    }
    this.#streams.delete(key)
    if (isTerminal(first.state)) this.#options.onAllAcknowledged(task)
    return first
  }

  /** Whether that status is on its way already. */
  isWaiting(task: TaskName, uuid: string | undefined): boolean {
    const stream = this.#streams.get(taskKey(task))
    return stream?.waiting.some((status) => status.uuid === uuid) ?? false
  }

  /** An executor is no friend: it must not fill this process with statuses of a task. */
  isFull(task: TaskName): boolean {
    return (this.#streams.get(taskKey(task))?.waiting.length ?? 0) >= waitingMax
  }

  connected(): void {
    this.#isConnected = true
    for (const stream of this.#streams.values()) this.#sendFirst(stream)
  }

  disconnected(): void {
    this.#isConnected = false
  }

  tick(): void {
    this.#ticks++
    if (!this.#isConnected) return
    for (const stream of this.#streams.values()) {
      if (this.#ticks < stream.retryAtTick) continue
      const retryTicks = Math.min(stream.retryTicks * 2, this.#options.retryMaxTicks)
      this.#send(stream, retryTicks)
    }
  }

  /** Forgets all of them: the agent they speak for is over. */
  clear(): void {
    this.#streams.clear()
  }

  #sendFirst(stream: Stream): void {
    this.#send(stream, this.#options.retryFirstTicks)
  }

  #send(stream: Stream, retryTicks: number): void {
    const status = stream.waiting[0]
    if (status === undefined || !this.#isConnected) return
    stream.retryTicks = retryTicks
    stream.retryAtTick = this.#ticks + retryTicks
    const { frameworkId } = stream.task
    this.#options.send({ type: 'status-update', frameworkId, status })
  }
}
