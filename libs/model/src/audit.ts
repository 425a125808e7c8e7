import { z } from 'zod'

/**
 * One line of the audit: who asked for what and what was decided. It is durable before the answer
 * leaves (docs/architecture.md, S3), and it has no field for a value.
 */
export const AuditRecord = z.object({
  atMs: z.int().nonnegative(),
  /** The uid, or `agent/<id>` when an agent asks for one of its tasks. */
  principal: z.string().max(300),
  action: z.enum(['create', 'read', 'update', 'delete', 'list', 'resolve', 'login', 'administer']),
  /** What was asked for: a secret's path, a folder, or another resource id. */
  path: z.string().max(1200),
  version: z.int().positive().optional(),
  outcome: z.enum(['allowed', 'denied', 'not-found', 'failed']),
  frameworkId: z.string().max(255).optional(),
  taskId: z.string().max(255).optional(),
  agentId: z.string().max(255).optional(),
  requestId: z.string().max(255),
  /** Of a login: the address it came from, or the network of an IPv6 one. */
  source: z.string().max(64).optional(),
  /** So many refused logins from `source` in about a minute, beside those with a record of their own. */
  count: z.int().positive().optional(),
})
export type AuditRecord = Readonly<z.infer<typeof AuditRecord>>
