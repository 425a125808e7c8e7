import { z } from 'zod'
import type { TaskUsage } from './master-api.ts'

const amount = z.number().nonnegative()

export const TaskUsageSaid = z.object({
  cpuMs: amount,
  memoryBytes: amount,
  memoryBytesMax: amount,
  /** Not said by agents from before it was. */
  layerBytes: amount.optional(),
  processes: amount,
  processesMax: amount,
  readBytes: amount,
  writtenBytes: amount,
  atMs: amount,
  processors: amount,
})

/** What an agent said; undefined when that is none. */
export function usageIn(text: string): TaskUsage | undefined {
  try {
    return TaskUsageSaid.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
