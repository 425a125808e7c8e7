import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findCanary, scanDirectory, type Canary } from '@conclave/testkit'
import type { Client } from '../client.ts'
import type { LocalCluster } from '../cluster/local-cluster.ts'
import type { EventTap } from './event-tap.ts'

/** One place that was searched, how much of it, and how often a canary was found there. */
export interface Searched {
  readonly place: string
  readonly bytes: number
  readonly hits: readonly string[]
}

/** Every answer that lists or shows state; none of them has a value as its contract. */
const reads = [
  ['conclave', 'GET', '/health'],
  ['conclave', 'GET', '/metrics'],
  ['conclave', 'GET', '/conclave/v1/masters'],
  ['conclave', 'GET', '/conclave/v1/agents'],
  ['conclave', 'GET', '/conclave/v1/runs'],
  ['conclave', 'GET', '/conclave/v1/tasks'],
  ['conclave', 'GET', '/conclave/v1/secrets'],
  ['conclave', 'GET', '/conclave/v1/versions?path=tour/db-password'],
  ['conclave', 'GET', '/conclave/v1/versions?path=tour/keystore'],
  ['dcos', 'GET', '/secrets/v1/secret/default/?list=true'],
  ['dcos', 'GET', '/secrets/v1/secret/default/tour?list=true'],
  ['dcos', 'GET', '/secrets/v1/secret/default/tour/no-such-secret'],
  ['dcos', 'GET', '/secrets/v1/store'],
  ['dcos', 'GET', '/acs/api/v1/auth/jwks'],
] as const

const operatorReads = [
  'GET_STATE',
  'GET_TASKS',
  'GET_AGENTS',
  'GET_FRAMEWORKS',
  'GET_HEALTH',
] as const

/**
 * Looks for `canaries` in all that an outsider could get hold of: every file of the cluster, all
 * events of all masters, and every list and state endpoint of each master that is up.
 *
 * @param control a canary that the search must find, in a file it plants itself
 */
export async function searchForLeaks(
  client: Client,
  cluster: LocalCluster,
  tap: EventTap,
  canaries: readonly Canary[],
  control: Canary,
): Promise<{ searched: readonly Searched[]; foundControl: boolean }> {
  const { directory } = cluster
  const answers = await allAnswers(client)
  const processes = processFacts(cluster)
  const controlFile = join(directory, 'control.txt')
  writeFileSync(controlFile, `planted to see whether the search works: ${control.text}\n`)
  const files = await scanDirectory(directory, [...canaries, control])
  const isControl = ({ place, canary }: { place: string; canary: Canary }): boolean =>
    canary === control && place.endsWith('control.txt')
  return {
    foundControl: files.hits.some(isControl),
    searched: [
      {
        place: `${files.files} files of the cluster: journals, snapshots, keys, audit and other logs`,
        bytes: files.bytes,
        hits: files.hits
          .filter((hit) => !isControl(hit))
          .map(({ place, form }) => `${place} (${form})`),
      },
      search('events of all masters and agents', Buffer.from(tap.text), canaries),
      search(`${answers.count} list and state answers`, answers.bytes, canaries),
      ...(processes.count === 0
        ? []
        : [search(`command lines and environments of the processes`, processes.bytes, canaries)]),
    ],
  }
}

function search(place: string, bytes: Uint8Array, canaries: readonly Canary[]): Searched {
  const hits = canaries.flatMap((canary) =>
    findCanary(bytes, canary).map(({ form, offset }) => `${place} at ${offset} (${form})`),
  )
  return { place, bytes: bytes.length, hits }
}

/** What any process of the same user can see of the members, where the system shows it as files. */
function processFacts(cluster: LocalCluster): { bytes: Buffer; count: number } {
  if (process.platform !== 'linux') return { bytes: Buffer.alloc(0), count: 0 }
  const pids = new Set(cluster.members.map(({ id }) => cluster.pidOf(id) ?? process.pid))
  const facts = [...pids].flatMap((pid) =>
    ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`)),
  )
  return { bytes: Buffer.concat(facts), count: pids.size }
}

async function allAnswers(client: Client): Promise<{ bytes: Buffer; count: number }> {
  const bodies: Uint8Array[] = []
  for (const { masterId } of client.context.masters) {
    const one = client.only(masterId)
    try {
      for (const [face, method, path] of reads) {
        bodies.push((await one.try({ face, method, path })).body)
      }
      for (const type of operatorReads) {
        const answer = await one.try({
          face: 'mesos',
          method: 'POST',
          path: '/api/v1',
          headers: { 'content-type': 'application/json' },
          body: Buffer.from(JSON.stringify({ type })),
        })
        bodies.push(answer.body)
      }
    } catch {
      // A master that is down shows nothing to anybody.
    }
  }
  return { bytes: Buffer.concat(bodies), count: bodies.length }
}
