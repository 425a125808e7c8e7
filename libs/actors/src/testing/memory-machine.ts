import { uuidBytes, type Random } from '@conclave/kernel'
import type { ToAgent } from '@conclave/model'
import { MemoryAgent, type AgentsPort } from './memory-agent.ts'

type Launch = Extract<ToAgent, { type: 'launch' }>

/** An agent that runs whatever it is told to, until it is told otherwise or a test ends it. */
export class MemoryMachine {
  readonly name: string
  readonly #random: Random
  /** What happens to a launch; by default it runs. */
  onLaunch: (launch: Launch) => 'run' | 'fail' = () => 'run'
  readonly tasks = new Map<string, Launch>()
  agentId: string | undefined
  #agent: MemoryAgent | undefined
  #read = 0

  constructor(name: string, random: Random) {
    this.name = name
    this.#random = random
  }

  get isConnected(): boolean {
    return this.#agent !== undefined && !this.#agent.isClosed
  }

  connect(master: AgentsPort): void {
    this.#agent = new MemoryAgent(master, this.name)
    this.#read = 0
    const tasks = Array.from(this.tasks.values(), ({ frameworkId, containerId, task }) => ({
      frameworkId,
      taskId: task.task_id.value,
      containerId,
    }))
    const resources = [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 1024 } },
    ]
    const known = this.agentId === undefined ? {} : { agentId: this.agentId }
    const info = { hostname: this.name, resources }
    this.#agent.say({ type: 'register', ...known, info, runtime: 'memory', tasks })
  }

  disconnect(): void {
    this.#agent?.drop()
    this.#agent = undefined
  }

  /** Does what it was told since the last time. */
  work(): void {
    const agent = this.#agent
    if (agent === undefined) return
    for (const message of agent.received.slice(this.#read)) {
      this.#read++
      if (message.type === 'registered') this.agentId = message.agentId
      if (message.type === 'launch') this.#launch(message)
      if (message.type === 'kill' && this.tasks.has(message.taskId)) {
        this.end(message.taskId, 'TASK_KILLED')
      }
    }
  }

  /** A task ends. */
  end(taskId: string, state: string): void {
    const launch = this.tasks.get(taskId)
    if (launch === undefined) return
    this.tasks.delete(taskId)
    this.#report(launch, state)
  }

  #launch(launch: Launch): void {
    const taskId = launch.task.task_id.value
    this.tasks.set(taskId, launch)
    this.#report(launch, 'TASK_STARTING')
    this.#report(launch, 'TASK_RUNNING')
    if (this.onLaunch(launch) === 'fail') this.end(taskId, 'TASK_FAILED')
  }

  #report({ frameworkId, task }: Launch, state: string): void {
    const uuid = Buffer.from(uuidBytes(this.#random)).toString('base64')
    const status = { task_id: task.task_id, state, uuid }
    this.#agent?.say({ type: 'status-update', frameworkId, status })
  }
}
