import { z } from 'zod'
import { rpc } from './errors.ts'

const count = z.int().nonnegative().max(Number.MAX_SAFE_INTEGER)

/** What `docker swarm init` and `update` send: whatever they leave out, or send as 0, is the default. */
export const SwarmSpecInput = z.object({
  Name: z.string().nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Orchestration: z.object({ TaskHistoryRetentionLimit: count.nullish() }).nullish(),
  Raft: z
    .object({
      SnapshotInterval: count.nullish(),
      KeepOldSnapshots: count.nullish(),
      LogEntriesForSlowFollowers: count.nullish(),
      ElectionTick: count.nullish(),
      HeartbeatTick: count.nullish(),
    })
    .nullish(),
  Dispatcher: z.object({ HeartbeatPeriod: count.nullish() }).nullish(),
  CAConfig: z.object({ NodeCertExpiry: count.nullish(), ForceRotate: count.nullish() }).nullish(),
  EncryptionConfig: z.object({ AutoLockManagers: z.boolean().nullish() }).nullish(),
})
export type SwarmSpecInput = z.infer<typeof SwarmSpecInput>

/** The spec as it is kept and shown. Source: docker-swarm.md objects.json, `GET /swarm`. */
export const SwarmSpec = z.object({
  Name: z.string(),
  Labels: z.record(z.string(), z.string()),
  Orchestration: z.object({ TaskHistoryRetentionLimit: count }),
  Raft: z.object({
    SnapshotInterval: count,
    KeepOldSnapshots: count,
    LogEntriesForSlowFollowers: count,
    ElectionTick: count,
    HeartbeatTick: count,
  }),
  Dispatcher: z.object({ HeartbeatPeriod: count }),
  CAConfig: z.object({ NodeCertExpiry: count, ForceRotate: count.optional() }),
  TaskDefaults: z.object({}),
  EncryptionConfig: z.object({ AutoLockManagers: z.boolean() }),
})
export type SwarmSpec = z.infer<typeof SwarmSpec>

const ninetyDaysNs = 90 * 24 * 3600 * 1e9
const hourNs = 3600 * 1e9

/** @throws Refusal in SwarmKit's words */
export function swarmSpec(input: SwarmSpecInput): SwarmSpec {
  const { Orchestration, Raft, Dispatcher, CAConfig, EncryptionConfig } = input
  if (CAConfig?.NodeCertExpiry && CAConfig.NodeCertExpiry < hourNs) {
    throw rpc('InvalidArgument', 'minimum certificate expiry time is: 1h0m0s')
  }
  const forceRotate = CAConfig?.ForceRotate ?? 0
  return {
    Name: 'default',
    Labels: input.Labels ?? {},
    Orchestration: { TaskHistoryRetentionLimit: Orchestration?.TaskHistoryRetentionLimit ?? 5 },
    Raft: {
      SnapshotInterval: Raft?.SnapshotInterval || 10_000,
      KeepOldSnapshots: Raft?.KeepOldSnapshots ?? 0,
      LogEntriesForSlowFollowers: Raft?.LogEntriesForSlowFollowers || 500,
      ElectionTick: Raft?.ElectionTick || 10,
      HeartbeatTick: Raft?.HeartbeatTick || 1,
    },
    Dispatcher: { HeartbeatPeriod: Dispatcher?.HeartbeatPeriod || 5_000_000_000 },
    CAConfig: {
      NodeCertExpiry: CAConfig?.NodeCertExpiry || ninetyDaysNs,
      ...(forceRotate > 0 && { ForceRotate: forceRotate }),
    },
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: EncryptionConfig?.AutoLockManagers ?? false },
  }
}
