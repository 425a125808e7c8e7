import type { ToAgent } from '@conclave/model'

/** The port: one agent at the other end of one connection. */
export interface AgentChannel {
  /** Never the same for two connections of one master. */
  readonly id: number
  /** The name in the agent's certificate: proven, where an id in a message is only claimed. */
  readonly agentName: string
  /** Bytes that the agent has not taken yet. */
  readonly waitingBytes: number
  send(message: ToAgent): void
  close(): void
  /** Nothing more is heard from this agent until {@link resume}. */
  pause(): void
  resume(): void
}
