import { z } from 'zod'
import { Labels } from './spec.ts'

/** `pause`: nothing new is placed there. `drain`: and what runs there is moved away. */
export const Availability = z.enum(['active', 'pause', 'drain'])
export type Availability = z.infer<typeof Availability>

/** What people say of a node, which is an agent by the name in its certificate. */
export const NodeSettings = z.object({
  name: z.string().min(1).max(255),
  availability: Availability.default('active'),
  role: z.enum(['worker', 'manager']).default('worker'),
  labels: Labels.default({}),
})
export type NodeSettings = Readonly<z.infer<typeof NodeSettings>>

/** A node as placing needs it: what people say of it, and what the cluster knows. */
export interface Node extends NodeSettings {
  readonly agentId: string
  readonly hostname: string
  /** Its agent is there. One that is away may come back with its tasks. */
  readonly isConnected: boolean
  /** It was given up: whatever ran there is over. */
  readonly isLost: boolean
  /** The agent's attributes, as text. */
  readonly attributes: Labels
  readonly platform: { readonly os: string; readonly arch: string }
  /** What of its resources nobody uses. */
  readonly free: Readonly<Record<string, number>>
  /** How many tasks run there, of anybody. */
  readonly tasks: number
}
