import type { ReplicaLimits } from '@conclave/actors'
import { defaultStoreLimits } from '@conclave/store'
import type { Dice } from './dice.ts'
import type { DiskManners } from './disk.ts'
import type { NetworkManners } from './network.ts'
import { profiles, type ProfileName } from './profiles.ts'

/**
 * Everything about a run but its faults, in numbers: drawn from the seed, and kept in history files, so
 * that what is drawn may change and a history stays what it was. Times in microseconds, chances in
 * thousandths.
 */
export interface Setting {
  readonly members: number
  /** Machines that are no members in the beginning, and may become some. */
  readonly spares: number
  readonly clients: number
  readonly keys: number
  readonly thinkUs: number
  /** How many of the clients, in thousandths, ask in the same words until they are told. */
  readonly stubbornPermille: number
  /** Mean time between two commands that compact the store or end its leases. */
  readonly keepUs: number
  readonly durationMs: number

  readonly deadlineTicks: number
  readonly proposalsMax: number
  readonly messageSizeBytes: number
  readonly inflightMessages: number
  readonly snapshotEntries: number
  readonly trailingEntries: number
  readonly snapshotChunkBytes: number
  readonly segmentSizeBytes: number
  /** How many clients a store remembers. */
  readonly sessionsMax: number

  readonly lossPermille: number
  readonly duplicatePermille: number
  readonly delayUs: number
  readonly lateMessagePermille: number
  readonly lateMessageUs: number

  readonly syncUs: number
  readonly lateSyncPermille: number
  readonly lateSyncUs: number
}

export function drawSetting(profile: ProfileName, dice: Dice): Setting {
  const { isNetworkBad, isDiskSlow, spares, founders } = profiles[profile]
  const ifBad = (...chances: readonly [number, ...number[]]): number => {
    const drawn = dice.pick(chances)
    return isNetworkBad ? drawn : 0
  }
  return {
    members: dice.pick(founders),
    clients: dice.between(2, 5),
    keys: dice.between(1, 5),
    thinkUs: dice.pick([50_000, 150_000, 400_000]),
    keepUs: dice.pick([300_000, 2_000_000]),
    stubbornPermille: 400,
    durationMs: 15_000,

    deadlineTicks: dice.pick([15, 60]),
    proposalsMax: dice.pick([1, 8, 64]),
    messageSizeBytes: dice.pick([0, 1024, 1024 * 1024]),
    inflightMessages: dice.pick([1, 4, 256]),
    snapshotEntries: dice.pick([8, 25, 100]),
    trailingEntries: dice.pick([1, 4, 20]),
    segmentSizeBytes: dice.pick([2048, 4096, 16_384]),

    lossPermille: ifBad(0, 10, 50, 150),
    duplicatePermille: ifBad(0, 10, 50),
    delayUs: dice.pick([200, 1_000, 5_000]),
    lateMessagePermille: ifBad(0, 20, 100),
    lateMessageUs: dice.pick([20_000, 200_000]),

    syncUs: dice.pick([50, 300, 2_000]),
    lateSyncPermille: dice.pick(isDiskSlow ? [0, 10, 50] : [0]),
    lateSyncUs: dice.pick([20_000, 100_000]),
    spares: dice.pick(spares),

    // Some states then take dozens of chunks, others one.
    snapshotChunkBytes: dice.pick([64, 512, 4096]),
    sessionsMax: defaultStoreLimits.sessionsMax,
  }
}

export const settingNames: ReadonlySet<string> = new Set<keyof Setting>([
  'members',
  'spares',
  'clients',
  'keys',
  'thinkUs',
  'stubbornPermille',
  'keepUs',
  'durationMs',
  'deadlineTicks',
  'proposalsMax',
  'messageSizeBytes',
  'inflightMessages',
  'snapshotEntries',
  'trailingEntries',
  'snapshotChunkBytes',
  'segmentSizeBytes',
  'sessionsMax',
  'lossPermille',
  'duplicatePermille',
  'delayUs',
  'lateMessagePermille',
  'lateMessageUs',
  'syncUs',
  'lateSyncPermille',
  'lateSyncUs',
])

export function networkManners(setting: Setting): NetworkManners {
  const { lossPermille, duplicatePermille, delayUs } = setting
  const { lateMessagePermille: latePermille, lateMessageUs: lateUs } = setting
  return { lossPermille, duplicatePermille, delayUs, latePermille, lateUs }
}

export function diskManners({ syncUs, ...setting }: Setting): DiskManners {
  const { lateSyncPermille: latePermille, lateSyncUs: lateUs } = setting
  return { writeUs: 20, syncUs, latePermille, lateUs }
}

export function replicaLimits(setting: Setting): Partial<ReplicaLimits> {
  const { deadlineTicks, proposalsMax, messageSizeBytes, inflightMessages } = setting
  const { snapshotEntries, trailingEntries, snapshotChunkBytes } = setting
  return {
    snapshotSendTicks: 30,
    snapshotWindow: 4,
    snapshotChunkBytes,
    deadlineTicks,
    proposalsMax,
    messageSizeBytes,
    inflightMessages,
    snapshotEntries,
    trailingEntries,
  }
}
