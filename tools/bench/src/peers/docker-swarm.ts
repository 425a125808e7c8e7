import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@conclave/acceptance'
import { freePorts } from '../free-ports.ts'

const apiVersion = 'v1.41'

/** The version line of the dockerd that is installed here, or undefined. */
export function dockerdVersion(): string | undefined {
  const { status, stdout } = spawnSync('dockerd', ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

interface Manager {
  /** Where the others reach it: loopback has 127.0.0.0/8, and three of Swarm's gossips need three addresses. */
  readonly address: string
  readonly directory: string
  readonly url: string
  readonly child: ChildProcess
}

/**
 * Managers of a real Docker Swarm, each a dockerd of its own with data, sockets and network kept
 * apart from any other that runs here. Needs root.
 */
export class DockerSwarm {
  readonly directory = mkdtempSync(join(tmpdir(), 'bench-swarm-'))
  readonly #managers: Manager[] = []

  /** @throws when it does not start here, with what dockerd said last */
  static async start(managers = 3): Promise<DockerSwarm> {
    const swarm = new DockerSwarm()
    try {
      for (const [index, port] of (await freePorts(managers)).entries()) swarm.#run(index, port)
      await swarm.#form()
      return swarm
    } catch (error) {
      const said = swarm.#managers.map(({ directory }) => lastLineOf(join(directory, 'log')))
      await swarm.stop()
      throw new Error(`${(error as Error).message}; ${said.join(' / ')}`, { cause: error })
    }
  }

  get pids(): readonly number[] {
    return this.#managers.map(({ child }) => child.pid ?? 0)
  }

  /** Where the API of the manager that leads is. */
  get url(): string {
    return `${this.#managers[0]?.url ?? ''}/${apiVersion}`
  }

  /** Where it listens beside, for clients of its own. */
  get socket(): string {
    return join(this.#managers[0]?.directory ?? '', 'docker.sock')
  }

  async stop(): Promise<void> {
    for (const { child } of this.#managers) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      const last = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(last)
    }
    unmountBelow(this.directory)
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }

  #run(index: number, port: number): void {
    const directory = join(this.directory, `manager-${index + 1}`)
    mkdirSync(directory)
    const url = `127.0.0.1:${port}`
    const config = join(directory, 'daemon.json')
    writeFileSync(config, '{}')
    const flags = {
      'data-root': join(directory, 'data'),
      'exec-root': join(directory, 'exec'),
      pidfile: join(directory, 'pid'),
      'config-file': config,
      host: `tcp://${url}`,
      tls: 'false',
      'storage-driver': 'vfs',
      bridge: 'none',
      iptables: 'false',
      ip6tables: 'false',
      'ip-forward': 'false',
      'ip-masq': 'false',
      'log-level': 'error',
    }
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
    args.push(`--host=unix://${join(directory, 'docker.sock')}`)
    const log = openSync(join(directory, 'log'), 'a')
    const child = spawn('dockerd', args, { stdio: ['ignore', log, log] })
    running.add(child)
    child.once('exit', () => running.delete(child))
    const address = `127.0.0.${index + 2}`
    this.#managers.push({ address, directory, url: `http://${url}`, child })
  }

  async #form(): Promise<void> {
    const [first, ...others] = this.#managers
    if (first === undefined) return
    for (const manager of this.#managers) {
      await until('dockerd answers', async () => {
        if (manager.child.exitCode !== null) throw new Error('dockerd ended')
        return (await ask(manager, 'GET', '/_ping').catch(() => undefined)) !== undefined
      })
    }
    await ask(first, 'POST', '/swarm/init', placeOf(first))
    const { JoinTokens } = JSON.parse(await ask(first, 'GET', '/swarm')) as {
      JoinTokens: { Manager: string }
    }
    for (const manager of others) {
      const wanted = { JoinToken: JoinTokens.Manager, RemoteAddrs: [`${first.address}:2377`] }
      await ask(manager, 'POST', '/swarm/join', { ...placeOf(manager), ...wanted })
    }
    await until('all managers take part', async () => {
      const nodes = JSON.parse(await ask(first, 'GET', '/nodes')) as {
        ManagerStatus?: { Reachability: string }
      }[]
      const reachable = nodes.filter((node) => node.ManagerStatus?.Reachability === 'reachable')
      return reachable.length === this.#managers.length
    })
  }
}

const placeOf = ({ address }: Manager): object => ({
  ListenAddr: `${address}:2377`,
  AdvertiseAddr: `${address}:2377`,
})

async function ask(to: Manager, method: string, path: string, body?: object): Promise<string> {
  const answer = await fetch(`${to.url}/${apiVersion}${path}`, {
    method,
    signal: AbortSignal.timeout(30_000),
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`dockerd answered ${answer.status} to ${path}: ${text.trim()}`)
  return text
}

function lastLineOf(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? ''
}

/** dockerd leaves mounts behind: of network namespaces, and of containers that ended with it. */
function unmountBelow(directory: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const below = mounts.map((mount) => mount.split(' ')[1] ?? '')
  // What was mounted last lies on top. One that is still held goes when its holder does.
  for (const place of below.toReversed()) {
    if (place.startsWith(`${directory}/`)) spawnSync('umount', ['--lazy', place])
  }
}
