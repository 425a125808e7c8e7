import { setTimeout as sleep } from 'node:timers/promises'
import { HttpClient } from '@conclave/runtime'
import type { Context } from './context.ts'
import { healthOf, type Health } from './health.ts'

type MasterShown = Context['masters'][number]

export type LockState = Health['state'] | 'unreachable'

export const lockStateOf = async (http: HttpClient, master: MasterShown): Promise<LockState> =>
  (await healthOf(http, master))?.state ?? 'unreachable'

export async function isAnyLocked(http: HttpClient, { masters }: Context): Promise<boolean> {
  const states = await Promise.all(masters.map((master) => lockStateOf(http, master)))
  return states.includes('booting-locked')
}

const pauseMs = 100

/** Calls `onLocked` once, if a master turns out to be locked before `signal` says that nobody asks any more. */
export async function watchForLock(
  context: Context,
  signal: AbortSignal,
  onLocked: () => void,
): Promise<void> {
  const http = new HttpClient({ timeoutMs: 2000 })
  try {
    while (!signal.aborted) {
      if (await isAnyLocked(http, context)) return onLocked()
      await sleep(pauseMs)
    }
  } finally {
    http.close()
  }
}
