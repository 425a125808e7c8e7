import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Conclave, type Master } from '@conclave/acceptance'
import { memoryContainers } from './memory-containers.ts'
import { median, quantile, type Result } from './result.ts'

/** From a submitted run to a container with its secret, a thousand on one agent, ten thousand in process. */
export async function containersSuite(isBrief: boolean): Promise<readonly Result[]> {
  // First, while nothing else is there to take from its memory and time.
  const inProcess = await memoryContainers(isBrief ? 200 : 10_000, isBrief ? 5 : 50)
  const cluster = await Conclave.start(['--agents', '1'])
  try {
    const leader = await cluster.leader()
    await put(cluster, leader)
    return [
      ...(await launches(cluster, leader, isBrief ? 5 : 50)),
      ...(await many(cluster, leader, isBrief ? 50 : 1000)),
      ...inProcess,
    ]
  } finally {
    await cluster.stop()
  }
}

const secretPath = 'bench/password'

async function put(cluster: Conclave, leader: Master): Promise<void> {
  await cluster.ask(leader, 'dcos', `/secrets/v1/secret/default/${secretPath}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream' },
    body: Buffer.alloc(32, 0x61),
  })
}

const spec = (name: string, command: string): object => ({
  name,
  resources: [
    { name: 'cpus', type: 'SCALAR', scalar: { value: 0.001 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 1 } },
  ],
  command: { shell: true, value: command },
  container: {
    type: 'MESOS',
    volumes: [
      {
        mode: 'RO',
        container_path: 'keys/password',
        source: {
          type: 'SECRET',
          secret: { type: 'REFERENCE', reference: { name: secretPath } },
        },
      },
    ],
  },
})

interface RunShown {
  readonly runId: string
  readonly state: string
  readonly isTerminal: boolean
}

async function submit(cluster: Conclave, leader: Master, body: object): Promise<RunShown> {
  const answer = await cluster.ask(leader, 'conclave', '/conclave/v1/runs', {
    method: 'POST',
    body,
  })
  if (answer.status !== 201)
    throw new Error(`the run was refused: ${Buffer.from(answer.body).toString()}`)
  return JSON.parse(Buffer.from(answer.body).toString()) as RunShown
}

async function runs(cluster: Conclave, leader: Master): Promise<readonly RunShown[]> {
  const answer = await cluster.ask(leader, 'conclave', '/conclave/v1/runs')
  return (JSON.parse(Buffer.from(answer.body).toString()) as { runs: RunShown[] }).runs
}

/** One after the other: submitted, offered, launched, granted, resolved, placed, read, finished. */
async function launches(
  cluster: Conclave,
  leader: Master,
  count: number,
): Promise<readonly Result[]> {
  const times: number[] = []
  for (let n = 0; n < count; n++) {
    const startedAt = performance.now()
    const { runId } = await submit(
      cluster,
      leader,
      spec(`launch-${n}`, 'cat keys/password > /dev/null'),
    )
    for (;;) {
      const answer = await cluster.ask(leader, 'conclave', `/conclave/v1/runs/${runId}`)
      const run = JSON.parse(Buffer.from(answer.body).toString()) as RunShown
      if (run.state === 'TASK_FINISHED') break
      if (run.isTerminal) throw new Error(`a launch ended in ${run.state}`)
      await sleep(1)
    }
    times.push(performance.now() - startedAt)
  }
  const name = 'submitted to secret read by the task and task finished'
  return [
    { name: `${name}: median of ${count}`, value: median(times), unit: 'ms' },
    { name: `${name}: 95 of 100 within`, value: quantile(times, 0.95), unit: 'ms' },
  ]
}

async function many(cluster: Conclave, leader: Master, count: number): Promise<readonly Result[]> {
  const agentPid = cluster.ready.agents[0]?.pid ?? 0
  const before = residentMiB(agentPid)
  const startedAt = performance.now()
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      await submit(cluster, leader, spec(`many-${next++}`, 'exec sleep 100000'))
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  for (;;) {
    const all = await runs(cluster, leader)
    const failed = all.find(({ state, isTerminal }) => isTerminal && state !== 'TASK_FINISHED')
    if (failed !== undefined) throw new Error(`${failed.runId} ended in ${failed.state}`)
    if (all.filter(({ state }) => state === 'TASK_RUNNING').length >= count) break
    await sleep(50)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const grown = residentMiB(agentPid) - before
  return [
    { name: `${count} containers with a secret each, all running`, value: seconds, unit: 's' },
    { name: `${count} containers: memory of the agent`, value: grown, unit: 'MiB more' },
    { name: 'memory of one container', value: (grown * 1024) / count, unit: 'KiB' },
  ]
}

/** Resident memory of a process, where the system tells it (Linux). */
function residentMiB(pid: number): number {
  try {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(line?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}
