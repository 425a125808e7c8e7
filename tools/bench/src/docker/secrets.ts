import { spawnSync } from 'node:child_process'
import { processorTimeUs } from '../processor-time.ts'
import { median } from '../result.ts'
import { EngineConnections, type Engine } from './engine.ts'

const value = Buffer.alloc(256, 0x61).toString('base64')
const connections = 16

/** What creating secrets came to. */
export interface Created {
  readonly perSecond: number
  /** Processor time of all members for one secret, where the system tells it. */
  readonly processorUs: number
}

/**
 * Creates `count` secrets in all, a share of them with each Engine in turn, so that a minute in which the
 * machine is slower is slower for all.
 *
 * @throws when one of those that were answered is not listed afterwards
 */
export async function createSecrets(
  engines: readonly Engine[],
  count: number,
): Promise<readonly Created[]> {
  const turns = 5
  const share = Math.ceil(count / turns)
  const totals = engines.map((engine) => ({ engine, ms: 0, us: 0 }))
  for (let turn = 0; turn < turns; turn++) {
    for (const total of totals) {
      const before = spent(total.engine)
      const startedAt = performance.now()
      await createShare(total.engine, turn * share, Math.min(share, count - turn * share))
      total.ms += performance.now() - startedAt
      total.us += spent(total.engine) - before
    }
  }
  for (const { engine } of totals) await demandAll(engine, count)
  return totals.map(({ ms, us }) => ({ perSecond: (count / ms) * 1000, processorUs: us / count }))
}

const nameOf = (n: number): string => `bench-${String(n).padStart(6, '0')}`

async function createShare(engine: Engine, from: number, count: number): Promise<void> {
  const http = new EngineConnections(engine)
  let next = from
  const worker = async (): Promise<void> => {
    while (next < from + count) {
      const body = { Name: nameOf(next++), Labels: {}, Data: value }
      await http.ask('POST', '/secrets/create', 201, body)
    }
  }
  try {
    await Promise.all(Array.from({ length: connections }, worker))
  } finally {
    http.close()
  }
}

interface SecretShown {
  readonly Spec: { readonly Name: string }
}

async function demandAll(engine: Engine, count: number): Promise<void> {
  const http = new EngineConnections(engine)
  const listed = await http.json<readonly SecretShown[]>('GET', '/secrets', 200)
  http.close()
  const names = new Set(listed.map(({ Spec }) => Spec.Name))
  const lost = Array.from({ length: count }, (_, n) => nameOf(n)).filter((name) => !names.has(name))
  if (lost.length > 0) throw new Error(`${engine.name} has lost ${lost.length} of ${count} secrets`)
}

/** Milliseconds for the list of all that there are, from the API and through the CLI: medians of turns. */
export async function listSecrets(
  engines: readonly Engine[],
  turns: number,
): Promise<readonly { readonly apiMs: number; readonly cliMs: number }[]> {
  const taken = engines.map((engine) => ({ engine, api: [] as number[], cli: [] as number[] }))
  for (let turn = 0; turn < turns; turn++) {
    for (const { engine, api, cli } of taken) {
      const http = new EngineConnections(engine)
      const askedAt = performance.now()
      await http.ask('GET', '/secrets', 200)
      api.push(performance.now() - askedAt)
      http.close()
      cli.push(listByCli(engine))
    }
  }
  return taken.map(({ api, cli }) => ({ apiMs: median(api), cliMs: median(cli) }))
}

/** Not a number where there is no CLI. */
function listByCli({ socket }: Engine): number {
  const startedAt = performance.now()
  const { status } = spawnSync('docker', ['-H', `unix://${socket}`, 'secret', 'ls'], {
    stdio: 'ignore',
  })
  return status === 0 ? performance.now() - startedAt : Number.NaN
}

const spent = ({ pids }: Engine): number =>
  pids.reduce((sum, pid) => sum + (processorTimeUs(pid) ?? Number.NaN), 0)
