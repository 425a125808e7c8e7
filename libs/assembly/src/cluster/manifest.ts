import { z } from 'zod'

const memberId = z.string().regex(/^[\w.-]{1,64}$/)

/** `cluster.json`: which cluster this is, and who belongs to it. Nothing in it is secret. */
export const ClusterManifest = z.object({
  version: z.literal(1),
  clusterId: z.uuid(),
  createdAtMs: z.int(),
  /** `nodeId` is the member's number in the Raft group. */
  masters: z
    .array(z.object({ masterId: memberId, nodeId: z.int().positive() }))
    .min(1)
    .readonly(),
  agents: z.array(memberId).readonly(),
  schedulers: z.array(z.object({ schedulerId: memberId, uid: z.string() })).readonly(),
  /** Who may do everything at first. */
  superuser: z.string(),
})
export type ClusterManifest = Readonly<z.infer<typeof ClusterManifest>>
