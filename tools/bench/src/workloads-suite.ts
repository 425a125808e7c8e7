import { setTimeout as sleep } from 'node:timers/promises'
import { Conclave, type Master } from '@conclave/acceptance'
import type { Result } from './result.ts'

/**
 * Workloads on two agents, a secret file in each instance: from the request to all of them running, and
 * a rolling update that rotates the secret, one instance at a time and ten at a time. As an operator
 * waits for them: by asking how far it is.
 */
export async function workloadsSuite(isBrief: boolean): Promise<readonly Result[]> {
  const replicas = isBrief ? 5 : 50
  const cluster = await Conclave.start(['--agents', '2'])
  try {
    const leader = await cluster.leader()
    for (const version of [1, 2, 3]) await put(cluster, leader, version)
    const one = await created(cluster, leader, 'one', 1)
    const many = await created(cluster, leader, 'many', replicas)
    const singly = await updated(cluster, leader, many.id, spec('many', replicas, 2, 1))
    const tenfold = await updated(cluster, leader, many.id, spec('many', replicas, 3, 10))
    return [
      { name: 'a workload of 1: created to running', value: one.seconds * 1000, unit: 'ms' },
      { name: `a workload of ${replicas}: created to running`, value: many.seconds, unit: 's' },
      { name: `rolling update of ${replicas}, one at a time`, value: singly, unit: 's' },
      { name: `rolling update of ${replicas}, ten at a time`, value: tenfold, unit: 's' },
    ]
  } finally {
    await cluster.stop()
  }
}

const pathOf = (version: number): string => `bench/workload-${version}`

async function put(cluster: Conclave, leader: Master, version: number): Promise<void> {
  const url = `/secrets/v1/secret/default/${pathOf(version)}`
  await cluster.ask(leader, 'dcos', url, { method: 'PUT', body: { value: 'x'.repeat(32) } })
}

/** An update is over for an instance once it runs: nobody watches it for longer. */
const spec = (name: string, replicas: number, secret: number, parallelism: number): object => ({
  name,
  mode: { kind: 'replicated', replicas },
  update: { parallelism, monitorMs: 0 },
  template: {
    resources: [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 0.001 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 1 } },
    ],
    command: { shell: true, value: 'sleep infinity' },
    container: {
      type: 'MESOS',
      volumes: [
        {
          mode: 'RO',
          container_path: 'keys/password',
          source: {
            type: 'SECRET',
            secret: { type: 'REFERENCE', reference: { name: pathOf(secret) } },
          },
        },
      ],
    },
  },
})

interface Shown {
  readonly id: string
  readonly counts: {
    readonly desired: number
    readonly running: number
    readonly updated: number
  }
  readonly update?: { readonly state: string; readonly message?: string }
}

async function ask(
  cluster: Conclave,
  leader: Master,
  method: string,
  path: string,
  body?: object,
): Promise<Shown> {
  const wanted = { method, ...(body !== undefined && { body }) }
  const answer = await cluster.ask(leader, 'conclave', `/conclave/v1/workloads${path}`, wanted)
  const text = Buffer.from(answer.body).toString()
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as Shown
}

async function created(
  cluster: Conclave,
  leader: Master,
  name: string,
  replicas: number,
): Promise<{ readonly id: string; readonly seconds: number }> {
  const startedAt = performance.now()
  const { id } = await ask(cluster, leader, 'POST', '', spec(name, replicas, 1, 1))
  for (;;) {
    const { counts } = await ask(cluster, leader, 'GET', `/${id}`)
    if (counts.running === replicas) break
    await sleep(10)
  }
  return { id, seconds: (performance.now() - startedAt) / 1000 }
}

/** @returns how many seconds it took until the last instance ran */
async function updated(
  cluster: Conclave,
  leader: Master,
  id: string,
  next: object,
): Promise<number> {
  const startedAt = performance.now()
  await ask(cluster, leader, 'PUT', `/${id}`, next)
  for (;;) {
    const { update, counts } = await ask(cluster, leader, 'GET', `/${id}`)
    if (update?.state === 'completed' && counts.updated === counts.desired) break
    if (update !== undefined && !['updating', 'completed'].includes(update.state)) {
      throw new Error(`the update is ${update.state}: ${update.message}`)
    }
    await sleep(10)
  }
  return (performance.now() - startedAt) / 1000
}
