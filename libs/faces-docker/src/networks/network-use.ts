import type { Caller } from '@conclave/actors'
import { z } from 'zod'
import { hasMaster, type Engine } from '../engine.ts'

const Attachments = z.array(z.object({ Target: z.string().nullish() })).nullish()

/** The part of a service's spec that names networks; the second place is that of old clients. */
const WithNetworks = z.object({
  TaskTemplate: z.object({ Networks: Attachments }).nullish(),
  Networks: Attachments,
})

/** Ids of the services that are attached to a network. */
export async function usersOfNetwork(
  engine: Engine,
  caller: Caller,
  { Id, Name }: { readonly Id: string; readonly Name: string },
): Promise<readonly string[]> {
  if (!hasMaster(engine)) return []
  const workloads = await engine.master.workloads.list(caller)
  return workloads
    .filter(({ spec }) => {
      const { TaskTemplate, Networks } = WithNetworks.safeParse(spec.origin?.document).data ?? {}
      const all = [...(TaskTemplate?.Networks ?? []), ...(Networks ?? [])]
      return all.some(({ Target }) => Target === Id || Target === Name)
    })
    .map(({ id }) => id)
}
