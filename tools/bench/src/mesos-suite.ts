import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Conclave, Framework, type Master } from '@conclave/acceptance'
import type { Result } from './result.ts'

/*
 * What a master carries for Mesos frameworks: a task with very many secrets, one ACCEPT with very many
 * tasks, frameworks that do nothing, and updates that nobody acknowledges. A loss is a failure.
 */
export async function mesosSuite(isBrief: boolean): Promise<readonly Result[]> {
  const cluster = await Conclave.start(['--agents', '1'])
  try {
    const leader = await cluster.leader()
    const pid = cluster.pidOf(leader.masterId)
    return [
      ...(await manySecrets(cluster, leader, isBrief ? 20 : 200)),
      ...(await oneAccept(cluster, pid, isBrief ? 20 : 500)),
      ...(await unacknowledged(cluster, pid, isBrief ? 30 : 3334)),
      ...(await idle(cluster, pid, isBrief ? 20 : 1000, isBrief ? 6 : 30)),
    ]
  } finally {
    await cluster.stop()
  }
}

const scalar = (name: string, value: number): object => ({
  name,
  type: 'SCALAR',
  scalar: { value },
})
const task = (id: string, command: string, more: object = {}): object => ({
  name: id,
  task_id: { value: id },
  resources: [scalar('cpus', 0.001), scalar('mem', 1)],
  command: { shell: true, value: command },
  ...more,
})

const secretOf = (path: string): object => ({ type: 'REFERENCE', reference: { name: path } })

/** Half of the secrets are variables, half are files, and each is a secret of its own. */
async function manySecrets(
  cluster: Conclave,
  leader: Master,
  count: number,
): Promise<readonly Result[]> {
  const paths = Array.from({ length: count }, (_, index) => `bench/many-${index}`)
  for (const path of paths) {
    const url = `/secrets/v1/secret/default/${path}`
    await cluster.ask(leader, 'dcos', url, { method: 'PUT', body: { value: 'x'.repeat(32) } })
  }
  const half = Math.floor(count / 2)
  const variables = paths
    .slice(0, half)
    .map((path, index) => ({ name: `S${index}`, type: 'SECRET', secret: secretOf(path) }))
  const volumes = paths.slice(half).map((path, index) => ({
    mode: 'RO',
    container_path: `keys/${index}`,
    source: { type: 'SECRET', secret: secretOf(path) },
  }))
  const framework = await Framework.subscribe(cluster, { name: 'many-secrets' })
  try {
    const command = {
      shell: true,
      value: 'test -n "$S0" && cat keys/0 > /dev/null',
      environment: { variables },
    }
    const startedAt = performance.now()
    const more = { command, container: { type: 'MESOS', volumes } }
    await framework.launch([task('many-secrets', '', more)])
    await finished(framework, ['many-secrets'])
    const value = performance.now() - startedAt
    return [{ name: `a task with ${count} secrets: ACCEPT to TASK_FINISHED`, value, unit: 'ms' }]
  } finally {
    framework.close()
  }
}

async function oneAccept(
  cluster: Conclave,
  pid: number,
  count: number,
): Promise<readonly Result[]> {
  const framework = await Framework.subscribe(cluster, { name: 'one-accept' })
  try {
    const before = residentMiB(pid)
    const ids = Array.from({ length: count }, (_, index) => `one-${index}`)
    const startedAt = performance.now()
    await launchAll(
      framework,
      ids.map((id) => task(id, 'true')),
    )
    await finished(framework, ids)
    const seconds = (performance.now() - startedAt) / 1000
    return [
      { name: `${count} tasks in one ACCEPT: all TASK_FINISHED`, value: seconds, unit: 's' },
      {
        name: `${count} tasks in one ACCEPT: memory of the leader`,
        value: residentMiB(pid) - before,
        unit: 'MiB more',
      },
    ]
  } finally {
    framework.close()
  }
}

/** Three statuses of each task: one is under way, and the others wait behind it. */
async function unacknowledged(
  cluster: Conclave,
  pid: number,
  count: number,
): Promise<readonly Result[]> {
  const framework = await Framework.subscribe(cluster, { name: 'silent' })
  try {
    framework.acknowledges = false
    const before = residentMiB(pid)
    const ids = Array.from({ length: count }, (_, index) => `silent-${index}`)
    for (let at = 0; at < count; at += 250) {
      const some = ids.slice(at, at + 250)
      await launchAll(
        framework,
        some.map((id) => task(id, 'true')),
      )
      await firstHeard(framework, at + some.length)
    }
    // Every task has ended by now, or ends soon: the master holds all that was said of them.
    await sleep(2000)
    const grown = residentMiB(pid) - before
    framework.acknowledges = true
    const startedAt = performance.now()
    const first = new Map(updates(framework).map((status) => [status.task_id.value, status]))
    for (const status of first.values()) await framework.acknowledge(status)
    await finished(framework, ids)
    const states = new Set(
      updates(framework).map(({ task_id, state }) => `${task_id.value} ${state}`),
    )
    return [
      {
        name: `${states.size} updates unacknowledged: memory of the leader`,
        value: grown,
        unit: 'MiB more',
      },
      {
        name: `${states.size} updates unacknowledged: acknowledged, and none lost`,
        value: (performance.now() - startedAt) / 1000,
        unit: 's',
      },
    ]
  } finally {
    framework.close()
  }
}

async function idle(
  cluster: Conclave,
  pid: number,
  count: number,
  seconds: number,
): Promise<readonly Result[]> {
  const before = residentMiB(pid)
  const frameworks: Framework[] = []
  try {
    for (let at = 0; at < count; at += 20) {
      const some = Array.from({ length: Math.min(20, count - at) }, (_, index) =>
        Framework.subscribe(cluster, { name: `idle-${at + index}` }),
      )
      frameworks.push(...(await Promise.all(some)))
    }
    const grown = residentMiB(pid) - before
    const usedBefore = processorSeconds(pid)
    const heardBefore = frameworks.map(heartbeats)
    await sleep(seconds * 1000)
    const used = processorSeconds(pid) - usedBefore
    const lost = frameworks.filter(
      (framework, index) => !framework.isOpen || heartbeats(framework) <= (heardBefore[index] ?? 0),
    ).length
    if (lost > 0) throw new Error(`${lost} of ${count} idle frameworks heard no heartbeat`)
    return [
      { name: `${count} idle frameworks: memory of the leader`, value: grown, unit: 'MiB more' },
      {
        name: `${count} idle frameworks: processor of the leader`,
        value: (used / seconds) * 100,
        unit: '% of a core',
      },
    ]
  } finally {
    for (const framework of frameworks) framework.close()
  }
}

/**
 * One ACCEPT of as many offers as these tasks need: what others of them have left comes back in pieces.
 */
async function launchAll(framework: Framework, tasks: readonly object[]): Promise<void> {
  const offers: Awaited<ReturnType<Framework['offer']>>[] = []
  for (let room = 0; room < tasks.length;) {
    const offer = await framework.offer()
    offers.push(offer)
    room += Math.min(scalarIn(offer, 'mem'), scalarIn(offer, 'cpus') * 1000)
  }
  const agent_id = offers[0]?.agent_id
  await framework.call('ACCEPT', {
    accept: {
      offer_ids: offers.map(({ id }) => id),
      operations: [
        { type: 'LAUNCH', launch: { task_infos: tasks.map((one) => ({ ...one, agent_id })) } },
      ],
      filters: { refuse_seconds: 0 },
    },
  })
}

interface Resource {
  readonly name: string
  readonly scalar?: { readonly value: number }
}

const scalarIn = (offer: object, name: string): number =>
  (offer as { readonly resources?: readonly Resource[] }).resources?.find(
    (one) => one.name === name,
  )?.scalar?.value ?? 0

const heartbeats = ({ events }: Framework): number =>
  events.filter(({ type }) => type === 'HEARTBEAT').length

const updates = ({ events }: Framework) =>
  events.flatMap(({ update }) => (update === undefined ? [] : [update.status]))

/** Until something was said of so many tasks. A stream that ended would never say it. */
async function firstHeard(framework: Framework, count: number): Promise<void> {
  while (new Set(updates(framework).map(({ task_id }) => task_id.value)).size < count) {
    if (!framework.isOpen) throw new Error('the stream ended: another master leads')
    await sleep(50)
  }
}

async function finished(framework: Framework, ids: readonly string[]): Promise<void> {
  for (;;) {
    if (!framework.isOpen) throw new Error('the stream ended: another master leads')
    const ended = new Set<string>()
    for (const { task_id, state, message } of updates(framework)) {
      if (state === 'TASK_FINISHED') ended.add(task_id.value)
      else if (/FAILED|LOST|ERROR|KILLED/.test(state)) throw new Error(`${state}: ${message}`)
    }
    if (ids.every((id) => ended.has(id))) return
    await sleep(20)
  }
}

/** Resident memory of a process, where the system tells it (Linux). */
function residentMiB(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]) / 1024
}

const ticksPerSecond = 100

/** What a process has used of the processor so far, in all its threads. */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
