import { readFileSync } from 'node:fs'
import type { Asking, Conclave, Master } from './conclave.ts'

/** One thing that an outsider could get hold of, and what stood in it. */
export interface Surface {
  readonly place: string
  readonly status: number
  readonly bytes: Uint8Array
}

const reads = {
  conclave: [
    '/health',
    '/metrics',
    '/conclave/v1/masters',
    '/conclave/v1/agents',
    '/conclave/v1/runs',
    '/conclave/v1/tasks',
    '/conclave/v1/secrets',
    '/conclave/v1/workloads',
    '/conclave/v1/nodes',
    '/conclave/v1/workloads/no-such-workload',
    '/conclave/v1/tasks/no-such-task',
    '/conclave/v1/runs/no-such-run',
    '/no/such/route',
  ],
  dcos: [
    '/secrets/v1/secret/default/?list=true',
    '/secrets/v1/secret/default/leaks?list=true',
    '/secrets/v1/secret/default/leaks/no-such-secret',
    '/secrets/v1/store',
    '/secrets/v1/store/default',
    '/secrets/v1/seal-status/default',
    '/secrets/v1/ping/backends/all',
    '/acs/api/v1/auth/jwks',
    '/acs/api/v1/auth/providers',
    '/no/such/route',
  ],
  mesos: [
    '/health',
    '/redirect',
    '/state',
    '/master/state',
    '/state-summary',
    '/tasks',
    '/frameworks',
    '/slaves',
    '/roles',
    '/flags',
    '/version',
    '/metrics/snapshot',
    '/no/such/route',
  ],
} as const

const operatorReads = [
  'GET_HEALTH',
  'GET_FLAGS',
  'GET_VERSION',
  'GET_STATE',
  'GET_AGENTS',
  'GET_FRAMEWORKS',
  'GET_EXECUTORS',
  'GET_OPERATIONS',
  'GET_TASKS',
  'GET_ROLES',
  'GET_WEIGHTS',
  'GET_QUOTA',
  'GET_LOGGING_LEVEL',
  'GET_MASTER',
] as const

/** What is looked at one by one. */
export interface Subjects {
  readonly secrets: readonly string[]
  readonly runs: readonly string[]
  readonly tasks: readonly string[]
}

/** Every answer of one master that lists or shows something, to one who asks. None has a value as its contract. */
export async function answersOf(
  cluster: Conclave,
  master: Master,
  asking: Asking,
  { secrets, runs, tasks }: Subjects,
): Promise<readonly Surface[]> {
  const name = asking === 'nobody' ? asking : asking.uid
  const surfaces: Surface[] = []
  const read = async (face: string, path: string, body?: object): Promise<void> => {
    const wanted = body === undefined ? {} : { body }
    const { status, headers, body: bytes } = await cluster.ask(master, face, path, wanted, asking)
    const head = Buffer.from(JSON.stringify(headers))
    const place = `${master.masterId} ${face} ${path} ${JSON.stringify(body ?? '')} to ${name}`
    surfaces.push({ place, status, bytes: Buffer.concat([head, bytes]) })
  }
  for (const [face, paths] of Object.entries(reads))
    for (const path of paths) await read(face, path)
  for (const type of operatorReads) await read('mesos', '/api/v1', { type })
  for (const path of secrets) {
    await read('conclave', `/conclave/v1/metadata?path=${encodeURIComponent(path)}`)
    await read('conclave', `/conclave/v1/versions?path=${encodeURIComponent(path)}`)
  }
  for (const id of runs) await read('conclave', `/conclave/v1/runs/${id}`)
  for (const id of tasks) await read('conclave', `/conclave/v1/tasks/${encodeURIComponent(id)}`)
  return surfaces
}

/** What any process of the same user can see of the members, where the system shows it as files. */
export function processFacts(cluster: Pick<Conclave, 'pids'>): readonly Surface[] {
  if (process.platform !== 'linux') return []
  return cluster.pids.flatMap((pid) =>
    ['cmdline', 'environ'].map((name) => ({
      place: `/proc/${pid}/${name}`,
      status: 200,
      bytes: readFileSync(`/proc/${pid}/${name}`),
    })),
  )
}
