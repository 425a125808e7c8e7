import { isTerminal, type TaskState } from '@conclave/model'
import type { DrivenCluster, Link } from './driven-cluster.ts'

export interface Running {
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
}

/** A machine that does what it is told, and may be cut off, restarted, or repeat itself. */
export class SimAgent {
  readonly name: string
  readonly #cluster: DrivenCluster
  readonly #running = new Map<string, Running>()
  #said: (() => void) | undefined
  #read = 0
  #link: Link | undefined
  #agentId: string | undefined

  constructor(cluster: DrivenCluster, name: string) {
    this.#cluster = cluster
    this.name = name
  }

  get running(): readonly Running[] {
    return [...this.#running.values()]
  }

  get isConnected(): boolean {
    return this.#link?.isOpen === true
  }

  /** Registers, over a new connection when there is none. */
  connect(): void {
    this.listen()
    if (!this.isConnected) {
      this.#link = this.#cluster.link(this.name)
      this.#read = 0
    }
    const link = this.#link
    if (link === undefined) return
    const known = this.#agentId === undefined ? {} : { agentId: this.#agentId }
    this.#cluster.register(link, { ...known, tasks: this.running })
    this.listen()
  }

  disconnect(): void {
    if (this.#link === undefined || !this.isConnected) return
    this.listen()
    this.#cluster.hangUp(this.#link)
  }

  /** The process dies: its containers end with it, and with its directory its id. */
  die({ losesDirectory }: { losesDirectory: boolean }): void {
    this.disconnect()
    this.#running.clear()
    this.#said = undefined
    if (losesDirectory) this.#agentId = undefined
  }

  report(index: number, state: TaskState): void {
    this.listen()
    const task = this.running[index % Math.max(1, this.#running.size)]
    const link = this.#link
    if (task === undefined || link === undefined || !link.isOpen) return
    const uuid = this.#cluster.uuid()
    const say = (): void => {
      if (this.#link?.isOpen !== true) return
      this.#cluster.report(this.#link, task, state, {
        uuid,
        container_status: { container_id: { value: task.containerId }, network_infos: [] },
      })
      this.listen()
    }
    this.#said = say
    if (isTerminal(state)) this.#running.delete(`${task.frameworkId}/${task.taskId}`)
    say()
  }

  /** Says its latest status again, as if the acknowledgement had been lost. */
  repeat(): void {
    this.#said?.()
  }

  /** Does what it was told since the last time. */
  listen(): void {
    if (this.#link === undefined) return
    for (; this.#read < this.#link.messages.length; this.#read++) {
      const message = this.#link.messages[this.#read]
      if (message === undefined) continue
      const key = 'taskId' in message ? `${message.frameworkId}/${message.taskId}` : ''
      switch (message.type) {
        case 'registered':
          this.#agentId = message.agentId
          break
        case 'shutdown':
          this.#running.clear()
          this.#agentId = undefined
          break
        case 'launch': {
          const { frameworkId, containerId } = message
          const taskId = message.task.task_id.value
          this.#running.set(`${frameworkId}/${taskId}`, { frameworkId, taskId, containerId })
          break
        }
        case 'kill': {
          const index = [...this.#running.keys()].indexOf(key)
          this.#read++
          if (index >= 0) this.report(index, 'TASK_KILLED')
          this.#read--
          break
        }
        default:
          break
      }
    }
  }
}
