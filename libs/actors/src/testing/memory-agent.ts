import { FromAgent, ToAgent } from '@conclave/model'
import type { AgentChannel } from '../master/agents/agent-channel.ts'

let connections = 0

/** What a master hears from: anything that takes connections of agents. */
export interface AgentsPort {
  agentConnected(channel: AgentChannel): void
  agentMessage(connection: number, message: FromAgent, sizeBytes?: number): void
  agentDisconnected(connection: number): void
}

/** An agent's end of one connection, in a test's hands: it keeps what it is told. */
export class MemoryAgent implements AgentChannel {
  readonly id = ++connections
  readonly agentName: string
  readonly received: ToAgent[] = []
  waitingBytes = 0
  isClosed = false
  isPaused = false
  readonly #master: AgentsPort

  constructor(master: AgentsPort, agentName: string) {
    this.#master = master
    this.agentName = agentName
    master.agentConnected(this)
  }

  /** The agent says something, as its link would carry it. */
  say(message: object): void {
    const text = JSON.stringify(message)
    this.#master.agentMessage(this.id, FromAgent.parse(JSON.parse(text)), text.length)
  }

  /** The connection breaks. */
  drop(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#master.agentDisconnected(this.id)
  }

  /** Messages of one type that came so far. */
  heard<T extends ToAgent['type']>(type: T): Extract<ToAgent, { type: T }>[] {
    return this.received.filter(
      (message): message is Extract<ToAgent, { type: T }> => message.type === type,
    )
  }

  send(message: ToAgent): void {
    this.received.push(ToAgent.parse(JSON.parse(JSON.stringify(message))))
  }

  close(): void {
    this.drop()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }
}
