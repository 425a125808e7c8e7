import type { Address } from '@conclave/actors'
import type { TlsIdentity } from '@conclave/runtime'
import { z } from 'zod'
import { MasterAddress } from '../cluster/addresses.ts'
import { askToJoin, JoinRefused } from '../join/join-client.ts'

const Answer = z.object({
  masters: z.array(MasterAddress),
  isPromoted: z.boolean().default(false),
})

/** How a member stands: who the masters are now, or why it is none of theirs any more. */
export type Standing =
  | {
      readonly is: 'member'
      readonly masters: readonly MasterAddress[]
      /** Of an agent: its machine shall have a master beside it. */
      readonly isPromoted: boolean
    }
  | { readonly is: 'refused'; readonly why: string }

/** Asks the masters at their `join` ports, one after the other. Undefined while none answers. */
export async function askStanding(
  joins: readonly Address[],
  identity: TlsIdentity,
  clusterId: string,
): Promise<Standing | undefined> {
  const member = { kind: 'member', identity, clusterId } as const
  for (const at of joins) {
    try {
      const said = await askToJoin<unknown>(at, member, { method: 'POST', path: '/v1/standing' })
      const answer = Answer.safeParse(said)
      if (answer.success) return { is: 'member', ...answer.data }
    } catch (error) {
      if (!(error instanceof JoinRefused) || error.reason !== 'holder.refused') continue
      return { is: 'refused', why: error.message }
    }
  }
  return undefined
}
