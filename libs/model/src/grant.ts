import { z } from 'zod'
import { SecretPath } from './secret.ts'

const mesosId = z.string().min(1).max(255)

/**
 * One task's right to read one secret, while it runs on one agent. Launching the task issues it,
 * and the end of the task revokes it.
 */
export const Grant = z.object({
  frameworkId: mesosId,
  taskId: mesosId,
  agentId: mesosId,
  path: SecretPath,
  /** The version that was current at the launch, or null when the secret did not exist yet. */
  version: z.int().positive().nullable(),
  issuedAtMs: z.int().nonnegative(),
  revokedAtMs: z.int().nonnegative().optional(),
})
export type Grant = Readonly<z.infer<typeof Grant>>
