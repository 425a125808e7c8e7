import { setTimeout as sleep } from 'node:timers/promises'
import type { LockStatus } from '@conclave/actors'
import { CommandFailed } from './failure.ts'

/** No record moved for so long: then something is in the way, and a master's log has it. */
const patienceMs = 60_000
const pauseMs = 200

export interface RotationWatch {
  /** @throws CommandFailed, `unavailable` while nobody leads */
  readonly ask: () => Promise<LockStatus>
  readonly tell: (line: string) => void
}

/** Resolves once the older keys are destroyed; says how far it is, whenever that changes. @throws CommandFailed */
export async function untilRotated(
  begun: LockStatus,
  { ask, tell }: RotationWatch,
): Promise<LockStatus> {
  const { newest } = begun.keys
  let status = begun
  let told = ''
  for (let until = performance.now() + patienceMs; ;) {
    const { keys } = status
    // More than one rotation may be seen: whoever comes later has begun another.
    if (keys.newest >= newest && !keys.kept.some((id) => id < newest)) return status
    const line = `${keys.rewrapped} of ${keys.rewrapped + keys.left} sealed records are under key ${keys.newest}`
    if (line !== told) {
      tell(line)
      told = line
      until = performance.now() + patienceMs
    }
    if (performance.now() > until) {
      throw new CommandFailed(
        'unavailable',
        `${line}, and no more for ${patienceMs / 1000} s: the log of the leader says why. It goes on by itself; look with: conclave cluster keys`,
      )
    }
    await sleep(pauseMs)
    status = (await asked(ask)) ?? status
  }
}

/** While leadership changes nobody can say. */
async function asked(ask: RotationWatch['ask']): Promise<LockStatus | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof CommandFailed && error.failure === 'unavailable') return undefined
    throw error
  }
}
