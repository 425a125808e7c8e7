import type { Caller, MasterApi } from '@conclave/actors'
import { z } from 'zod'

/*
 * Labels of masters that run no containers, for Docker's clients alone: no task is ever placed by them.
 */

const kind = 'docker-manager'
const Body = z.object({ labels: z.record(z.string(), z.string()) })

export interface ManagerLabels {
  readonly labels: Readonly<Record<string, string>>
  /** Changes whenever the labels do. */
  readonly revision: number
}

export const noLabels: ManagerLabels = { labels: {}, revision: 1 }

/** By the ids of the masters. */
export async function managerLabels(
  { documents }: MasterApi,
  caller: Caller,
): Promise<ReadonlyMap<string, ManagerLabels>> {
  const all = await documents.list(caller, kind)
  return new Map(
    all.map(({ name, body, revision }) => [
      name,
      { labels: Body.safeParse(body).data?.labels ?? {}, revision },
    ]),
  )
}

export async function labelManager(
  { documents }: MasterApi,
  caller: Caller,
  masterId: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const known = await documents.byName(caller, kind, masterId)
  if (known !== undefined) await documents.update(caller, kind, known.id, { labels })
  else await documents.create(caller, kind, { id: masterId, name: masterId, body: { labels } })
}
