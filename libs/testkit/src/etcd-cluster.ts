import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { freezeProcess } from './freeze-process.ts'

const host = '127.0.0.1'
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

interface Plan {
  readonly name: string
  readonly clientPort: number
  readonly peerPort: number
}

export interface EtcdClusterOptions {
  readonly size?: number
  /** More of etcd's own flags, such as `client-cert-auth`. */
  readonly flags?: Readonly<Record<string, string>>
  /** Clients speak TLS: what `flags` say about certificates is then to be there. */
  readonly isTls?: boolean
}

/** Members of a real etcd with its own defaults, on free ports and in a directory that goes with them. */
export class EtcdCluster {
  /** All that the members write. */
  readonly directory = mkdtempSync(join(tmpdir(), 'conclave-etcd-'))
  readonly #plans: readonly Plan[]
  readonly #options: EtcdClusterOptions
  readonly #children = new Map<string, ChildProcess>()

  private constructor(plans: readonly Plan[], options: EtcdClusterOptions) {
    this.#plans = plans
    this.#options = options
  }

  /** Resolves once clients can connect to all. Whether they already lead, a first request shows. */
  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const { size = 3 } = options
    const ports = await freePorts(2 * size)
    const plans = Array.from({ length: size }, (_, at) => ({
      name: `n${at + 1}`,
      clientPort: ports[2 * at] ?? 0,
      peerPort: ports[2 * at + 1] ?? 0,
    }))
    const cluster = new EtcdCluster(plans, options)
    for (const plan of plans) cluster.#spawn(plan, 'new')
    try {
      await Promise.all(plans.map(({ name }) => cluster.#isListening(name)))
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get names(): readonly string[] {
    return this.#plans.map(({ name }) => name)
  }

  /** `host:port` of each member, in the order of {@link names}. */
  get endpoints(): readonly string[] {
    return this.#plans.map(({ clientPort }) => `${host}:${clientPort}`)
  }

  /** As `etcd://host:port,…/prefix`. */
  url(prefix: string): string {
    return `etcd://${this.endpoints.join(',')}/${prefix}`
  }

  /** `kill -9`. What it has written stays. */
  async kill(name: string): Promise<void> {
    const child = this.#children.get(name)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Starts a member that was killed, on what it left. */
  async restart(name: string): Promise<void> {
    await this.kill(name)
    const plan = this.#plans.find((one) => one.name === name)
    if (plan === undefined) throw new Error(`no member is called ${name}`)
    this.#spawn(plan, 'existing')
    await this.#isListening(name)
  }

  /** Stops a member where it stands, or lets it go on: it keeps its connections and answers nobody. */
  async freeze(name: string, isFrozen: boolean): Promise<void> {
    const child = this.#children.get(name)
    if (child !== undefined) await freezeProcess(child, isFrozen)
  }

  async stop(): Promise<void> {
    await Promise.all(this.names.map((name) => this.kill(name)))
    rmSync(this.directory, { recursive: true, force: true })
  }

  #spawn(plan: Plan, state: 'new' | 'existing'): void {
    const { isTls = false, flags = {} } = this.#options
    const client = `${isTls ? 'https' : 'http'}://${host}:${plan.clientPort}`
    const peer = `http://${host}:${plan.peerPort}`
    const all = {
      name: plan.name,
      'data-dir': join(this.directory, plan.name),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': this.#plans
        .map((one) => `${one.name}=http://${host}:${one.peerPort}`)
        .join(','),
      'initial-cluster-state': state,
      'initial-cluster-token': this.directory,
      logger: 'zap',
      'log-level': 'error',
      ...flags,
    }
    const words = Object.entries(all).map(([flag, value]) => `--${flag}=${value}`)
    const child = spawn('etcd', words, { stdio: 'ignore' })
    this.#children.set(plan.name, child)
    running.add(child)
    child.once('exit', () => running.delete(child))
  }

  async #isListening(name: string): Promise<void> {
    const plan = this.#plans.find((one) => one.name === name)
    const child = this.#children.get(name)
    if (plan === undefined || child === undefined) throw new Error(`no member is called ${name}`)
    while (!(await answers(plan.clientPort))) {
      if (child.exitCode !== null) throw new Error(`etcd ended (${child.exitCode})`)
      await sleep(10)
    }
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  // All at once, or the system would give the same one again.
  const servers = await Promise.all(Array.from({ length: count }, () => listening(0)))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => closed(server)))
  return ports
}

/** By connecting: whoever listens there to find out takes the port from the one who should. */
async function answers(port: number): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function listening(port: number): Promise<ReturnType<typeof createServer>> {
  const server = createServer()
  server.listen(port, host)
  await once(server, 'listening')
  return server
}

async function closed(server: ReturnType<typeof createServer>): Promise<void> {
  server.close()
  await once(server, 'close')
}
