import type { HttpClient } from '@conclave/runtime'
import { z } from 'zod'
import type { Context } from './context.ts'

/** What a master says of itself to everybody: where it is locked or nobody leads, nobody can log in. */
const Health = z.object({
  state: z.enum(['booting-locked', 'running']),
  role: z.enum(['leader', 'follower', 'candidate']),
  term: z.int().nonnegative(),
  leader: z.string().nullable(),
})
export type Health = z.infer<typeof Health>

/** Undefined when it does not answer. */
export async function healthOf(
  http: HttpClient,
  master: Context['masters'][number],
): Promise<Health | undefined> {
  try {
    const answer = await http.request({ url: new URL('/health', master.conclave) })
    return Health.parse(JSON.parse(Buffer.from(answer.body).toString('utf8')))
  } catch {
    return undefined
  }
}
