import { findCanaries, scanDirectory, type Canary } from '@conclave/testkit'
import type { Conclave } from '../conclave.ts'
import { processFacts } from '../surfaces.ts'
import type { EngineClient } from './engine-client.ts'

/** Every list of an Engine, with what its elements are called and where each is looked at. */
const lists = [
  { list: '/nodes', key: 'ID', one: (id: string) => [`/nodes/${id}`] },
  { list: '/secrets', key: 'ID', one: (id: string) => [`/secrets/${id}`] },
  { list: '/configs', key: 'ID', one: (id: string) => [`/configs/${id}`] },
  {
    list: '/services?status=true',
    key: 'ID',
    one: (id: string) => [
      `/services/${id}?insertDefaults=true`,
      `/services/${id}/logs?stdout=1&stderr=1&details=1`,
    ],
  },
  { list: '/tasks', key: 'ID', one: (id: string) => [`/tasks/${id}`] },
  {
    list: '/containers/json?all=1&size=1',
    key: 'Id',
    one: (id: string) => [
      `/containers/${id}/json`,
      `/containers/${id}/top`,
      `/containers/${id}/logs?stdout=1&stderr=1`,
      `/containers/${id}/stats?stream=0`,
    ],
  },
  { list: '/images/json', key: 'Id', one: (id: string) => [`/images/${id}/json`] },
  { list: '/networks', key: 'Id', one: (id: string) => [`/networks/${id}`] },
] as const

const alone = [
  '/swarm',
  '/info',
  '/version',
  '/system/df',
  '/volumes',
  '/plugins',
  '/_ping',
  '/no/such',
]

/** Whatever an Engine shows when it is asked for all that it lists, looks at, and remembers of what happened. */
async function answersOf(engine: EngineClient): Promise<readonly [place: string, bytes: Buffer][]> {
  const answers: [string, Buffer][] = []
  const read = async (path: string): Promise<Buffer> => {
    const { headers, body } = await engine.ask('GET', path)
    answers.push([`GET ${path}`, Buffer.concat([Buffer.from(JSON.stringify(headers)), body])])
    return body
  }
  for (const path of alone) await read(path)
  await read(`/events?since=0&until=${Math.floor(Date.now() / 1000)}`)
  for (const { list, key, one } of lists) {
    const shown = JSON.parse((await read(list)).toString()) as unknown
    if (!Array.isArray(shown)) continue
    for (const element of shown as readonly Readonly<Record<string, string>>[]) {
      for (const path of one(element[key] ?? '')) await read(path)
    }
  }
  return answers
}

/** What keeps secrets, and what it leaves behind. */
export interface Keeper {
  readonly directory: string
  readonly pids: readonly number[]
  /** What its processes have written to standard error. */
  readonly log: string
}

/** A cluster's log is that of all its members, which is on its disk, and what `conclave up` complained of. */
export const keeperOf = ({ directory, pids, complaints }: Conclave): Keeper => ({
  directory,
  pids,
  log: complaints,
})

/**
 * Where any of `values` can be found: on the disks, in the logs, in what processes show of themselves, and in
 * whatever the Engine answers that is no container's own reading. Empty is right.
 */
export async function whereValuesAre(
  keeper: Keeper,
  engine: EngineClient,
  values: readonly Canary[],
): Promise<readonly string[]> {
  const { hits } = await scanDirectory(keeper.directory, values)
  const places: (readonly [string, Uint8Array])[] = [
    ...(await answersOf(engine)),
    ['the log', Buffer.from(keeper.log)],
    ...processFacts(keeper).map(({ place, bytes }) => [place, bytes] as const),
  ]
  return [
    ...hits.map((hit) => JSON.stringify(hit)),
    ...places.flatMap(([place, bytes]) =>
      findCanaries(bytes, values).map(
        ({ canary: { label }, form }) => `${label} (${form}): ${place}`,
      ),
    ),
  ]
}
