import type { Caller } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import type { Filters } from '../filters.ts'
import { lookup } from '../lookup.ts'
import { servicesOf } from './find-service.ts'
import { taskObject } from './task-object.ts'
import { isTaskWanted, type TaskSeen } from './task-filters.ts'

/** The tasks of all services, or of those that are asked for. */
export async function tasksOf(
  engine: Engine,
  caller: Caller,
  filters: Filters = new Map(),
): Promise<readonly TaskSeen[]> {
  const { master } = engine
  const { clusterId } = master.status()
  const wanted = filters.get('service')
  const services = (await servicesOf(engine, caller)).filter(
    ({ id }) => wanted === undefined || wanted.includes(id),
  )
  const byId = new Map(services.map((service) => [service.id, service]))
  // Of one service alone that is asked for, not those of all are gone through.
  const [only] = services.length === 1 ? services : []
  const tasks = await master.workloads.tasks(caller, only?.id)
  return tasks
    .flatMap((task): readonly TaskSeen[] => {
      const service = byId.get(task.workloadId)
      return service === undefined ? [] : [{ task, service, object: taskObject(task, clusterId) }]
    })
    .filter((seen) => isTaskWanted(seen, filters))
}

/** The one task that `asked` means: by its id, its name, or how its id begins. @throws Refusal */
export async function findTask(engine: Engine, caller: Caller, asked: string): Promise<TaskSeen> {
  const all = await tasksOf(engine, caller)
  const those = async (fits: (seen: TaskSeen) => boolean): Promise<readonly TaskSeen[]> =>
    all.filter(fits)
  return lookup('task', asked, {
    id: (id) => those(({ object }) => object.ID === id),
    name: (name) => those(({ task }) => task.taskId === name),
    idPrefix: (prefix) => those(({ object }) => object.ID.startsWith(prefix)),
  })
}
