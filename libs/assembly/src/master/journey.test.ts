import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunView, TaskSession } from '@conclave/actors'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { agentDirectory, masterDirectory, schedulerDirectory } from '../cluster/layout.ts'
import { startMemberAgent } from '../cluster/member-agent.ts'
import { loadAccountKey } from '../cluster/member-files.ts'
import { urlsOf } from '../cluster/addresses.ts'
import { addressesFor, prepareCluster } from '../cluster/prepare-cluster.ts'
import { startScheduler, type RunningScheduler } from '../scheduler/start-scheduler.ts'
import type { RunningMaster } from './master.ts'
import { startMaster } from './start-master.ts'

const value = 'canary-31f8-of-the-journey'
const caller = { principal: { uid: 'dev' }, requestId: 'journey' }

let directory: string
let masters: readonly RunningMaster[]
let agent: Awaited<ReturnType<typeof startMemberAgent>>['agent']
let scheduler: RunningScheduler

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-journey-'))
  const cluster = await prepareCluster(directory, { masters: 3, agents: 1 })
  const addresses = await addressesFor(cluster)
  masters = await Promise.all(
    addresses.map(({ masterId }) =>
      startMaster({ directory: masterDirectory(directory, masterId), masters: addresses }),
    ),
  )
  const [agentId = ''] = cluster.manifest.agents
  const own = agentDirectory(directory, agentId)
  agent = (await startMemberAgent({ directory: own, masters: addresses })).agent
  const [{ schedulerId, uid } = { schedulerId: '', uid: '' }] = cluster.manifest.schedulers
  const account = schedulerDirectory(directory, schedulerId)
  scheduler = await startScheduler({
    directory: account,
    masters: addresses.map(urlsOf),
    account: { uid, privateKey: await loadAccountKey(account) },
  })
  await Promise.all(masters.map((master) => master.ready()))
})

afterEach(async () => {
  scheduler.destroy()
  agent.destroy()
  await Promise.all(masters.map((master) => master.destroy()))
  await rm(directory, { recursive: true, force: true })
})

const leader = (): RunningMaster => {
  const found = masters.find(({ api }) => api.status().role === 'leader')
  if (found === undefined) throw new Error('nobody leads')
  return found
}

const specOf = (secret: object): object => ({
  name: 'digest',
  resources: [
    { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
  ],
  command: {
    value: 'printf %s "$SECRET" | sha256sum',
    environment: { variables: [{ name: 'SECRET', type: 'SECRET', secret }] },
  },
})

async function ended({ api }: RunningMaster, spec: object): Promise<RunView> {
  const submitted = await api.runs.submit(caller, spec)
  let last = submitted
  const { signal } = new AbortController()
  for await (const view of api.runs.watch(caller, submitted.runId, signal)) last = view
  return last
}

async function printed(session: TaskSession): Promise<string> {
  let text = ''
  for await (const output of session.output()) {
    if (output.kind === 'data') text += Buffer.from(output.bytes).toString()
  }
  return text
}

async function filesHolding(text: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const bytes = await readFile(join(entry.parentPath, entry.name))
    const forms = [text, Buffer.from(text).toString('base64'), Buffer.from(text).toString('hex')]
    if (forms.some((form) => bytes.includes(form))) found.push(entry.name)
  }
  return found
}

test('a secret travels from a follower to a container, and again after the leader is killed', async () => {
  const follower = masters.find((master) => master !== leader()) ?? leader()
  const digest = createHash('sha256').update(value).digest('hex')
  await follower.api.secrets.create(caller, 'tour/db', {
    kind: 'text',
    bytes: new Redacted(utf8(value)),
  })
  const reference = specOf({ type: 'REFERENCE', reference: { name: 'tour/db' } })

  const first = await ended(follower, reference)
  expect(first).toMatchObject({ state: 'TASK_FINISHED', exitCode: 0 })
  const logs = await follower.api.tasks.logs(caller, first.taskId, { follow: false })
  expect(await printed(logs)).toContain(digest)

  const data = Buffer.from(value).toString('base64')
  const inline = await ended(follower, specOf({ type: 'VALUE', value: { data } }))
  expect(inline).toMatchObject({ state: 'TASK_FINISHED', exitCode: 0 })

  await leader().destroy()
  expect(await ended(follower, reference)).toMatchObject({ state: 'TASK_FINISHED', exitCode: 0 })

  const missing = specOf({ type: 'REFERENCE', reference: { name: 'tour/none' } })
  expect(await ended(follower, missing)).toMatchObject({
    state: 'TASK_FAILED',
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: expect.stringContaining('no secret tour/none') as string,
  })
  expect(await filesHolding(value)).toEqual([])
}, 60_000)
