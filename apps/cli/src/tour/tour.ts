import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunView } from '@conclave/actors'
import { canary, scanDirectory, type Canary } from '@conclave/testkit'
import { Client } from '../client.ts'
import { dim, table } from '../output.ts'
import { EventTap } from './event-tap.ts'
import { searchForLeaks, type Searched } from './leak-search.ts'
import type { LocalCluster } from '../cluster/local-cluster.ts'
import { journeyOf } from './journey.ts'
import { ClaimBroken, type Story } from './story.ts'

const examples = new URL('../../../../examples/tasks/', import.meta.url)

/** The two secrets of the tour: one text, one 64 KiB of bytes with canaries all through. */
interface Planted {
  readonly text: Canary
  readonly binary: Canary
  readonly textBytes: Buffer
  readonly binaryBytes: Buffer
}

/** So few entries lead to a snapshot that a tour sees some. */
export const snapshotEntriesOfTour = 200

/**
 * Follows two secrets through the whole cluster and checks every claim it makes on the way. The
 * masters should take a snapshot every {@link snapshotEntriesOfTour}.
 *
 * @throws ClaimBroken at the first claim that does not hold
 */
export async function tour(cluster: LocalCluster, story: Story): Promise<void> {
  const client = new Client(cluster.context)
  const tap = new EventTap(client)
  try {
    const planted = plant()
    await meet(client, story)
    await store(client, story, planted)
    await runAll(client, story, planted, tap)
    if (client.context.masters.length >= 3) await loseLeader(cluster, client, story, planted)
    await loseAgent(cluster, client, story, planted)
    await lookFromOutside(cluster, client, story, planted, tap)
    showJourney(story, tap, planted)
    await forgetAll(client, ['tour/writes', 'tour/filler'])
  } finally {
    tap.stop()
  }
}

function plant(): Planted {
  const [text, binary] = [canary('text'), canary('binary')]
  const binaryBytes = Buffer.from(randomBytes(64 * 1024))
  for (let at = 0; at + 4096 <= binaryBytes.length; at += 4096) binaryBytes.write(binary.text, at)
  return { text, binary, textBytes: Buffer.from(text.text), binaryBytes }
}

async function meet(client: Client, story: Story): Promise<void> {
  story.chapter('The cluster')
  const masters = await Promise.all(
    client.context.masters.map(({ masterId }) => client.only(masterId).status()),
  )
  const { agents } = await client.json<{ agents: { agentId: string; hostname: string }[] }>(
    'conclave',
    'GET',
    '/conclave/v1/agents',
  )
  for (const { masterId, role, term } of masters) story.say(`${masterId}  ${role}, term ${term}`)
  for (const { agentId, hostname } of agents) story.say(`${hostname}  agent ${dim(agentId)}`)
  story.claim(
    'one of the masters leads',
    masters.filter(({ role }) => role === 'leader').length === 1,
  )
}

/** The leader that all masters that are up agree on. */
async function leaderOf(client: Client): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt++) {
    for (const { masterId } of client.context.masters) {
      try {
        const status = await client.only(masterId).status()
        if (status.role === 'leader') return masterId
      } catch {
        // This one is down; the next may lead.
      }
    }
    await sleep(50)
  }
  throw new ClaimBroken('no leader was elected within 10 s')
}

async function store(
  client: Client,
  story: Story,
  { textBytes, binaryBytes }: Planted,
): Promise<void> {
  story.chapter('Two secrets are stored')
  // A cluster that is kept may have been toured before.
  await forgetAll(client, ['tour'])
  const put = async (path: string, body: Buffer, contentType: string): Promise<number> =>
    (
      await client.try({
        face: 'dcos',
        method: 'PUT',
        path: `/secrets/v1/secret/default/${path}`,
        headers: { 'content-type': contentType },
        body,
      })
    ).status
  story.claim(
    'tour/db-password, 32 characters of text',
    (await put(
      'tour/db-password',
      Buffer.from(JSON.stringify({ value: textBytes.toString() })),
      'application/json',
    )) === 201,
    'PUT /secrets/v1/secret/default/tour/db-password → 201',
  )
  story.claim(
    'tour/keystore, 64 KiB of bytes',
    (await put('tour/keystore', binaryBytes, 'application/octet-stream')) === 201,
    'PUT /secrets/v1/secret/default/tour/keystore → 201',
  )
}

/** Deletes what lies in these folders, so that who looks next finds what matters. */
async function forgetAll(client: Client, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const base = `/secrets/v1/secret/default/${folder}`
    const listed = await client.try({ face: 'dcos', method: 'GET', path: `${base}?list=true` })
    if (listed.status !== 200) continue
    const { array } = JSON.parse(Buffer.from(listed.body).toString()) as { array: string[] }
    await Promise.all(
      array.map((id) => client.try({ face: 'dcos', method: 'DELETE', path: `${base}/${id}` })),
    )
  }
}

function submitExample(client: Client, file: string): Promise<RunView> {
  const spec: unknown = JSON.parse(readFileSync(new URL(file, examples), 'utf8'))
  return client.json<RunView>('conclave', 'POST', '/conclave/v1/runs', spec)
}

/** Runs an example and collects what it printed. */
async function runExample(client: Client, file: string): Promise<{ end: RunView; stdout: string }> {
  const run = await submitExample(client, file)
  // Asked again and again rather than watched: a run that gets stuck must break a claim, not the tour.
  const end = await waitFor(client, run, ({ isTerminal }) => isTerminal)
  return { end, stdout: await outputOf(client, run.taskId) }
}

async function outputOf(client: Client, taskId: string): Promise<string> {
  const stream = await client.try({
    face: 'conclave',
    method: 'GET',
    path: `/conclave/v1/tasks/${encodeURIComponent(taskId)}/logs?follow=false`,
  })
  if (stream.status >= 400) return ''
  return Buffer.from(stream.body)
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { stream?: string; data?: string })
    .map(({ stream: name, data }) =>
      name === 'stdout' ? Buffer.from(data ?? '', 'base64').toString() : '',
    )
    .join('')
}

/** How a run went, when it did not go as claimed. */
const outcomeOf = ({ state, reason, message }: RunView): string =>
  [state, reason, message].filter((part) => part !== undefined).join(' ')

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function runAll(
  client: Client,
  story: Story,
  planted: Planted,
  tap: EventTap,
): Promise<void> {
  story.chapter('Four tasks ask for them')
  const env = await runExample(client, 'env-secret.json')
  story.claim(
    `env-secret.json found exactly the bytes in $DB_PASSWORD`,
    env.end.state === 'TASK_FINISHED' && env.stdout.startsWith(sha256(planted.textBytes)),
    `sha256 inside the container ${env.stdout.slice(0, 12)}…, ${outcomeOf(env.end)}`,
  )
  const file = await runExample(client, 'file-secret.json')
  const [digest = '', stat = '', mount = ''] = file.stdout.split('\n')
  story.claim(
    'file-secret.json found exactly the bytes in keys/keystore',
    file.end.state === 'TASK_FINISHED' && digest.startsWith(sha256(planted.binaryBytes)),
    `sha256 ${digest.slice(0, 12)}…, ${outcomeOf(file.end)}`,
  )
  story.claim(
    'the file was readable by its owner alone, in a tmpfs of the container',
    stat === '400 65536' && mount.includes('tmpfs'),
    mount,
  )
  for (const name of ['env-secret-missing.json', 'file-secret-missing.json']) {
    const { end } = await runExample(client, name)
    const wasStarted = tap.find('container.started', { taskId: end.taskId }) !== undefined
    story.claim(
      `${name} failed before it started, and says why`,
      end.state === 'TASK_FAILED' && !wasStarted,
      outcomeOf(end),
    )
  }
}

/** Starts a task that stays, and waits until it runs. */
async function startLongRun(client: Client): Promise<RunView> {
  const run = await submitExample(client, 'long-run.json')
  return waitFor(client, run, ({ state }) => state === 'TASK_RUNNING')
}

async function waitFor(
  client: Client,
  run: RunView,
  isReached: (run: RunView) => boolean,
): Promise<RunView> {
  let seen = run
  for (let attempt = 0; attempt < 400; attempt++) {
    try {
      const path = `/conclave/v1/runs/${encodeURIComponent(run.runId)}`
      seen = await client.json<RunView>('conclave', 'GET', path)
      if (isReached(seen)) return seen
    } catch {
      // Between two leaders nobody answers for a moment.
    }
    await sleep(50)
  }
  return seen
}

/** Runs a program inside the container. @returns what it printed */
async function execIn(client: Client, taskId: string, argv: readonly string[]): Promise<string> {
  const answer = await client.bytes({
    face: 'conclave',
    method: 'POST',
    path: `/conclave/v1/tasks/${encodeURIComponent(taskId)}/exec`,
    headers: { 'content-type': 'application/x-ndjson' },
    body: Buffer.from(`${JSON.stringify({ argv })}\n${JSON.stringify({ eof: true })}\n`),
  })
  return Buffer.from(answer.body)
    .toString()
    .split('\n')
    .filter((line) => line.includes('"stdout"'))
    .map((line) => Buffer.from((JSON.parse(line) as { data: string }).data, 'base64').toString())
    .join('')
}

async function loseLeader(
  cluster: LocalCluster,
  client: Client,
  story: Story,
  planted: Planted,
): Promise<void> {
  story.chapter('The leader is killed in the middle of a write')
  const task = await startLongRun(client)
  const leader = await leaderOf(client)
  const writes = writeThrough(client)
  await sleep(100)
  await cluster.kill(leader)
  const killedAt = performance.now()
  story.say(`kill -9 ${leader}, while a task holds both secrets and a client keeps writing`)
  const next = await leaderOf(client)
  const { acknowledged, firstAfter } = await writes.finish(killedAt)
  story.claim(
    `${next} leads now`,
    next !== leader,
    `first write acknowledged ${firstAfter} ms after the kill`,
  )
  const survivors = await Promise.all(acknowledged.map((n) => readBack(client, n)))
  story.claim(
    `every one of ${acknowledged.length} acknowledged writes is there`,
    survivors.every(Boolean),
  )
  const still = await waitFor(client, task, ({ state }) => state === 'TASK_RUNNING')
  const inside = await retry(() =>
    execIn(client, task.taskId, ['sh', '-c', 'printf %s "$DB_PASSWORD" | sha256sum']),
  )
  story.claim(
    'the task never noticed and still holds its secret',
    still.state === 'TASK_RUNNING' && inside.startsWith(sha256(planted.textBytes)),
    `exec in the container: sha256 ${inside.slice(0, 12)}…`,
  )
  await cluster.restart(leader)
  const back = await retry(() => client.only(leader).status())
  story.claim(
    `${leader} is back, on the log it left on its disk`,
    back.role === 'follower' || back.role === 'leader',
    `${back.role}, term ${back.term}`,
  )
  await retry(() =>
    client.json('conclave', 'POST', `/conclave/v1/tasks/${encodeURIComponent(task.taskId)}/kill`),
  )
  const end = await waitFor(client, task, ({ isTerminal }) => isTerminal)
  story.claim('the task ends when it is told to', end.isTerminal, end.state)
}

/** A client that writes one numbered secret after the other and notes which were acknowledged. */
function writeThrough(client: Client): {
  finish: (killedAt: number) => Promise<{ acknowledged: number[]; firstAfter: number }>
} {
  const acknowledged: number[] = []
  const acknowledgements: { begunAt: number; atMs: number }[] = []
  const done = new AbortController()
  const writing = (async () => {
    for (let n = 0; !done.signal.aborted; n++) {
      const begunAt = performance.now()
      try {
        const { status } = await client.try({
          face: 'dcos',
          method: 'PUT',
          path: `/secrets/v1/secret/default/tour/writes/${n}`,
          headers: { 'content-type': 'application/octet-stream' },
          body: Buffer.from(`write ${n}`),
        })
        if (status === 201) {
          acknowledged.push(n)
          acknowledgements.push({ begunAt, atMs: performance.now() })
        }
      } catch {
        // Nobody answered: not acknowledged, so nothing was promised.
      }
    }
  })()
  return {
    finish: async (killedAt) => {
      const first = (): { atMs: number } | undefined =>
        acknowledgements.find(({ begunAt }) => begunAt >= killedAt)
      for (let turn = 0; turn < 400 && first() === undefined; turn++) await sleep(25)
      done.abort()
      await writing
      const atMs = first()?.atMs ?? Number.POSITIVE_INFINITY
      return { acknowledged, firstAfter: Math.round(atMs - killedAt) }
    },
  }
}

async function readBack(client: Client, n: number): Promise<boolean> {
  const { status, body } = await client.try({
    face: 'dcos',
    method: 'GET',
    path: `/secrets/v1/secret/default/tour/writes/${n}`,
  })
  return status === 200 && Buffer.from(body).toString() === `write ${n}`
}

async function loseAgent(
  cluster: LocalCluster,
  client: Client,
  story: Story,
  planted: Planted,
): Promise<void> {
  story.chapter('An agent is killed under a task')
  const task = await startLongRun(client)
  const agent = await agentOf(client, task)
  await cluster.kill(agent)
  story.say(`kill -9 ${agent}, while its container holds both secrets`)
  const left = await scanDirectory(cluster.directoryOf(agent), [planted.text, planted.binary])
  story.claim(
    `nothing of them is in what ${agent} left behind`,
    left.files > 0 && left.hits.length === 0,
    `${left.files} files, ${left.bytes} bytes`,
  )
  await cluster.restart(agent)
  const end = await waitFor(client, task, ({ isTerminal }) => isTerminal)
  story.claim(
    `${agent} is back without the task, which is reported lost`,
    end.state === 'TASK_LOST',
    outcomeOf(end),
  )
}

/** The member on which a task runs: an agent's host name is its name here. */
async function agentOf(client: Client, { runId }: RunView): Promise<string> {
  const path = `/conclave/v1/runs/${encodeURIComponent(runId)}`
  const { agentId } = await client.json<{ agentId?: string }>('conclave', 'GET', path)
  const { agents } = await client.json<{ agents: { agentId: string; hostname: string }[] }>(
    'conclave',
    'GET',
    '/conclave/v1/agents',
  )
  return agents.find((agent) => agent.agentId === agentId)?.hostname ?? ''
}

async function lookFromOutside(
  cluster: LocalCluster,
  client: Client,
  story: Story,
  { text, binary }: Planted,
  tap: EventTap,
): Promise<void> {
  story.chapter('The search: were they seen anywhere else?')
  const sizes = await untilSnapshots(client, tap)
  story.claim(
    'each master has put its whole store into a snapshot',
    sizes.every((size) => size > 0),
    sizes.map((size) => `${(size / 1024).toFixed(0)} KiB`).join(', '),
  )
  const control = canary('control')
  const decoy = canary('decoy')
  const found = await searchForLeaks(client, cluster, tap, [text, binary, decoy], control)
  story.claim('the search finds a value that it planted itself', found.foundControl)
  for (const { place, bytes, hits } of found.searched) {
    story.claim(`${place}: nothing`, hits.length === 0, describe(bytes, hits))
  }
}

/** Writes until every master has a snapshot, and with it the secrets. @returns their sizes in bytes */
async function untilSnapshots(client: Client, tap: EventTap): Promise<readonly number[]> {
  const newest = (): number[] =>
    client.context.masters.map(({ masterId }) =>
      Math.max(
        0,
        ...tap.seen
          .filter((event) => event.type === 'raft.snapshot-taken' && event['masterId'] === masterId)
          .map((event) => Number(event['sizeBytes'])),
      ),
    )
  for (let n = 0; n < 2000 && newest().includes(0); n += 16) {
    await Promise.all(
      Array.from({ length: 16 }, (_, offset) =>
        client.try({
          face: 'dcos',
          method: 'PUT',
          path: `/secrets/v1/secret/default/tour/filler/${n + offset}`,
          headers: { 'content-type': 'application/octet-stream' },
          body: Buffer.from('filler'),
        }),
      ),
    )
  }
  return newest()
}

const describe = (bytes: number, hits: Searched['hits']): string =>
  hits.length === 0
    ? `${(bytes / 1024).toFixed(0)} KiB, raw, base64, base64url, hex, percent-encoded, …`
    : hits.slice(0, 5).join('; ')

function showJourney(story: Story, tap: EventTap, planted: Planted): void {
  story.chapter('Where the secret was')
  const rows = journeyOf(tap, 'tour/keystore', planted.binaryBytes.length)
  const lines = table(['STEP', 'WHERE', 'FORM', 'KNOWN BY'], rows).trimEnd().split('\n')
  for (const line of lines) story.say(line)
  story.claim(
    'every step of the journey was seen',
    rows.every(([, , , evidence]) => evidence !== '—'),
  )
}

/** Tries again while the cluster is between two leaders. */
async function retry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 0) throw error
      await sleep(100)
    }
  }
}
