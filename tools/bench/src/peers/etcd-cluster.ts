import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@conclave/acceptance'
import { freePorts } from '../free-ports.ts'

const host = '127.0.0.1'

export interface EtcdMember {
  readonly name: string
  readonly clientPort: number
  readonly url: string
  readonly pid: number
  readonly directory: string
}

/** The version line of the etcd that is installed here, or undefined. */
export function etcdVersion(): string | undefined {
  const { status, stdout } = spawnSync('etcd', ['--version'], { encoding: 'utf8' })
  return status === 0 ? (stdout.split('\n')[0] ?? 'etcd').replace(' Version:', '') : undefined
}

/** Not our children by nature: they would outlive a benchmark that failed half-way. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Three members of a real etcd with its own defaults, on loopback and a temporary directory. */
export class EtcdCluster {
  readonly directory = mkdtempSync(join(tmpdir(), 'bench-etcd-'))
  readonly #members = new Map<string, EtcdMember>()
  readonly #children = new Map<string, ChildProcess>()
  readonly #plans: readonly { name: string; clientPort: number; peerPort: number }[]

  private constructor(ports: readonly number[]) {
    this.#plans = [0, 1, 2].map((index) => ({
      name: `n${index + 1}`,
      clientPort: ports[2 * index] ?? 0,
      peerPort: ports[2 * index + 1] ?? 0,
    }))
  }

  static async start(): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(await freePorts(6))
    for (const { name } of cluster.#plans) cluster.startMember(name, 'new')
    try {
      await cluster.leader()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get members(): readonly EtcdMember[] {
    return [...this.#members.values()]
  }

  get pids(): readonly number[] {
    return this.members.map(({ pid }) => pid)
  }

  /** Waits while nobody leads. */
  leader(among: readonly EtcdMember[] = this.members): Promise<EtcdMember> {
    return until('etcd has a leader that takes writes', async () => {
      for (const member of among) {
        const { header, leader } = (await ask(member, '/v3/maintenance/status', {})) as {
          header: { member_id: string }
          leader?: string
        }
        if (leader !== header.member_id) continue
        await ask(member, '/v3/kv/put', { key: 'cmVhZHk=', value: 'MQ==' })
        return member
      }
      return undefined
    })
  }

  /** `kill -9`. */
  async kill(name: string): Promise<void> {
    const child = this.#children.get(name)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Starts a member on what it left, or all of a new cluster. */
  startMember(name: string, state: 'new' | 'existing' = 'existing'): void {
    const plan = this.#plans.find((one) => one.name === name)
    if (plan === undefined) throw new Error(`no member is called ${name}`)
    const [client, peer] = [plan.clientPort, plan.peerPort].map((port) => `http://${host}:${port}`)
    const initial = this.#plans.map((one) => `${one.name}=http://${host}:${one.peerPort}`).join(',')
    const directory = join(this.directory, name)
    const flags = {
      name,
      'data-dir': directory,
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': initial,
      'initial-cluster-state': state,
      'initial-cluster-token': 'bench',
      logger: 'zap',
      'log-level': 'error',
    }
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value ?? ''}`)
    const child = spawn('etcd', args, { stdio: 'ignore' })
    this.#children.set(name, child)
    running.add(child)
    child.once('exit', () => running.delete(child))
    const pid = child.pid ?? 0
    this.#members.set(name, {
      name,
      clientPort: plan.clientPort,
      url: client ?? '',
      pid,
      directory,
    })
  }

  /** Resolves once a member that was started answers again. */
  async isBack(name: string): Promise<void> {
    const member = this.#members.get(name)
    if (member === undefined) return
    await until(`etcd's ${name} is back`, async () => {
      const { health } = (await ask(member, '/health')) as { health?: string }
      return health === 'true'
    })
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((name) => this.kill(name)))
    rmSync(this.directory, { recursive: true, force: true })
  }
}

async function ask({ url }: EtcdMember, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${url}${path}`, {
    signal: AbortSignal.timeout(2000),
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(`etcd answered ${answer.status}`)
  return answer.json()
}
