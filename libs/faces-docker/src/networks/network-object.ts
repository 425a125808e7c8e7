import { z } from 'zod'
import type { Document } from '@conclave/actors'
import { rfc3339 } from '../times.ts'

/* Networks as the Engine shows them. Source: docker-swarm.md objects.json, API 1.47 Network. */

export interface NetworkObject {
  readonly Name: string
  readonly Id: string
  readonly Created: string
  readonly Scope: 'swarm' | 'local'
  readonly Driver: string
  readonly EnableIPv6: boolean
  readonly IPAM: {
    readonly Driver: string
    readonly Options: Readonly<Record<string, string>> | null
    readonly Config: readonly Readonly<Record<string, unknown>>[] | null
  }
  readonly Internal: boolean
  readonly Attachable: boolean
  readonly Ingress: boolean
  readonly ConfigFrom: { readonly Network: string }
  readonly ConfigOnly: boolean
  /** Simulated containers have no endpoints. */
  readonly Containers: Readonly<Record<string, never>> | null
  readonly Options: Readonly<Record<string, string>>
  readonly Labels: Readonly<Record<string, string>>
}

export const networkKind = 'docker-network'

/** What is kept of a network that somebody made, as it was asked for. */
export const KeptNetwork = z.object({
  Driver: z.enum(['bridge', 'overlay']),
  EnableIPv6: z.boolean(),
  IPAM: z.object({
    Driver: z.string(),
    Options: z.record(z.string(), z.string()).nullable(),
    Config: z.array(z.record(z.string(), z.json())),
  }),
  Internal: z.boolean(),
  Attachable: z.boolean(),
  Options: z.record(z.string(), z.string()),
  Labels: z.record(z.string(), z.string()),
})
export type KeptNetwork = Readonly<z.infer<typeof KeptNetwork>>

export function networkObject({ id, name, createdAtMs, body }: Document): NetworkObject {
  const kept = KeptNetwork.parse(body)
  const isOverlay = kept.Driver === 'overlay'
  return {
    Name: name,
    Id: id,
    Created: rfc3339(createdAtMs),
    Scope: isOverlay ? 'swarm' : 'local',
    ...kept,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: isOverlay ? null : {},
  }
}
