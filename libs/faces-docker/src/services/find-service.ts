import { WorkloadNotFound, type Caller, type WorkloadView } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import { lookup } from '../lookup.ts'
import { isService } from './service-object.ts'

/** The services among all workloads. */
export const servicesOf = async (
  { master }: Engine,
  caller: Caller,
): Promise<readonly WorkloadView[]> => (await master.workloads.list(caller)).filter(isService)

/** The one service that `asked` means: clients that wait for one ask for it five times a second. @throws Refusal */
export async function findService(
  engine: Engine,
  caller: Caller,
  asked: string,
): Promise<WorkloadView> {
  const exact = async (idOrName: string): Promise<readonly WorkloadView[]> => {
    try {
      return [await engine.master.workloads.get(caller, idOrName)].filter(isService)
    } catch (error) {
      if (error instanceof WorkloadNotFound) return []
      throw error
    }
  }
  return lookup('service', asked, {
    id: exact,
    name: async () => [],
    idPrefix: async (prefix) =>
      (await servicesOf(engine, caller)).filter(({ id }) => id.startsWith(prefix)),
  })
}
