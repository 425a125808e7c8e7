import { z } from 'zod'
import { Refusal, rpc } from './errors.ts'
import { printable } from './printable.ts'

const count = z.int().nonnegative().max(Number.MAX_SAFE_INTEGER)

/** Nanoseconds. */
const duration = z.int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER)

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
  Dispatcher: z.object({ HeartbeatPeriod: duration.nullish() }).nullish(),
  CAConfig: z
    .object({
      NodeCertExpiry: duration.nullish(),
      ForceRotate: count.nullish(),
      ExternalCAs: z.array(z.object({ Protocol: z.string().nullish() })).nullish(),
      SigningCACert: z.string().nullish(),
      SigningCAKey: z.string().nullish(),
    })
    .nullish(),
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

/** What the Engine looks at first, then what SwarmKit does. @throws Refusal in their words */
export function swarmSpec(input: SwarmSpecInput): SwarmSpec {
  const { Name, Orchestration, Raft, Dispatcher, CAConfig, EncryptionConfig } = input
  if (Name && Name !== 'default') throw new Refusal(400, 'swarm spec must be named "default"')
  const other = CAConfig?.ExternalCAs?.find(({ Protocol }) => Protocol?.toLowerCase() !== 'cfssl')
  if (other !== undefined) {
    throw new Refusal(400, `invalid protocol: "${printable(other.Protocol ?? '')}"`)
  }
  if (CAConfig?.NodeCertExpiry && CAConfig.NodeCertExpiry < hourNs) {
    throw rpc('InvalidArgument', 'minimum certificate expiry time is: 1h0m0s')
  }
  const hasForeign = CAConfig?.ExternalCAs?.length || CAConfig?.SigningCACert
  if (hasForeign || CAConfig?.SigningCAKey) {
    throw new Refusal(
      501,
      'certificates are issued by the cluster itself, under a root that it makes: docker swarm ca --rotate, without a certificate, a key or another authority',
    )
  }
  if ((Dispatcher?.HeartbeatPeriod ?? 0) < 0) {
    throw rpc('InvalidArgument', 'heartbeat time period cannot be a negative duration')
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
