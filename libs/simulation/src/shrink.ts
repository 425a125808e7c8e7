import type { Planned } from './fault.ts'
import type { HistoryFile } from './history-file.ts'
import type { Setting } from './setting.ts'
import { simulate, type SimulationOptions, type Verdict } from './simulate.ts'

export interface Shrunk {
  readonly file: HistoryFile
  readonly verdict: Verdict
  readonly runCount: number
}

/**
 * Makes a failing run smaller: ends it where it breaks, and leaves out faults and clients as long as
 * the same rule is broken. What is left is seldom the least, but short enough to be read.
 */
export async function shrink(
  failing: Verdict,
  {
    parts,
    isBlackBox,
    runsMax = 150,
  }: Pick<SimulationOptions, 'parts' | 'isBlackBox'> & { runsMax?: number } = {},
): Promise<Shrunk> {
  const rule = failing.violation?.rule
  let verdict = failing
  let runCount = 0
  const fails = async (change: Partial<HistoryFile>): Promise<boolean> => {
    if (runCount >= runsMax) return false
    runCount++
    const tried = await simulate({
      ...fileOf(verdict),
      ...change,
      ...(parts && { parts }),
      ...(isBlackBox !== undefined && { isBlackBox }),
    })
    if (tried.violation?.rule !== rule || rule === undefined) return false
    verdict = tried
    return true
  }

  const { plan, setting, violation } = failing
  const atMs = violation?.atMs ?? setting.durationMs
  const withSetting = async (change: Partial<Setting>): Promise<boolean> => {
    const simpler = { ...verdict.setting, ...change }
    return simpler.clients > 0 && (await fails({ setting: simpler }))
  }
  // Faults that came later had no part in it.
  const before = plan.filter((planned) => planned.atMs <= atMs)
  const durationMs = Math.min(setting.durationMs, atMs + 1)
  await fails({ plan: before, setting: { ...setting, durationMs } })
  await withFewerFaults(
    () => verdict.plan,
    (smaller) => fails({ plan: smaller }),
  )
  for (const simpler of simplerSettings) await withSetting(simpler)
  while (await withSetting({ clients: verdict.setting.clients - 1 }));
  await withFewerFaults(
    () => verdict.plan,
    (smaller) => fails({ plan: smaller }),
  )
  return { file: fileOf(verdict), verdict, runCount }
}

const simplerSettings: readonly Partial<Setting>[] = [
  { lossPermille: 0, duplicatePermille: 0, lateMessagePermille: 0, lateSyncPermille: 0 },
  { keepUs: 1_000_000_000 },
  { keys: 1 },
  { members: 3 },
]

const fileOf = ({ seed, profile, setting, plan }: Verdict): HistoryFile => ({
  seed,
  profile,
  setting,
  plan,
})

/** Leaves out halves, then quarters, and so on down to single faults. */
async function withFewerFaults(
  now: () => readonly Planned[],
  stillFails: (plan: readonly Planned[]) => Promise<boolean>,
): Promise<void> {
  for (
    let size = Math.ceil(now().length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < now().length;) {
      const without = [...now().slice(0, from), ...now().slice(from + size)]
      if (!(await stillFails(without))) from += size
    }
  }
}
