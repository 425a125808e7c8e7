import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@conclave/acceptance'
import { masterEnvironment } from '@conclave/assembly'
import { uuid, wipe } from '@conclave/kernel'
import {
  createAuthority,
  issueCertificate,
  SystemRandom,
  writeTlsIdentity,
} from '@conclave/runtime'
import { freePorts } from '../free-ports.ts'
import type { MemberNews, MemberQuestion } from './member-main.ts'
import { StoreClient } from './store-client.ts'
import type { StorePlan } from './store-member.ts'

export interface StoreClusterOptions {
  /** Default 50 ms, as masters have it. */
  readonly tickMs?: number
  readonly fsyncDelayMs?: number
  readonly memberCount?: number
  readonly limits?: StorePlan['limits']
  /** For `--cpu-prof` and the like. */
  readonly execArgv?: readonly string[]
}

export type MemberState = Extract<MemberNews, { type: 'state' }>

/** What each member of a new group is told; their files are written below `directory`. */
export async function planMembers(
  directory: string,
  options: StoreClusterOptions = {},
): Promise<readonly StorePlan[]> {
  const { tickMs = 50, fsyncDelayMs = 0, memberCount = 3, limits } = options
  const random = new SystemRandom()
  const clusterId = uuid(random)
  const authority = await createAuthority({ clusterId })
  const ports = await freePorts(memberCount)
  const peers = ports.map(
    (port, index) => [index + 1, { id: `store-${index + 1}`, host: '127.0.0.1', port }] as const,
  )
  const plans: StorePlan[] = []
  for (const [nodeId, { id }] of peers) {
    const own = join(directory, id)
    await mkdir(own, { recursive: true, mode: 0o700 })
    const identity = await issueCertificate(authority, { id, role: 'conclave-master' })
    await writeTlsIdentity(own, identity)
    wipe(identity.privateKey)
    const key = random.bytes(32)
    await writeFile(join(own, 'journal.key'), key, { mode: 0o600 })
    wipe(key)
    const plan = { clusterId, nodeId, directory: own, peers, tickMs, fsyncDelayMs }
    plans.push(limits === undefined ? plan : { ...plan, limits })
  }
  wipe(authority.privateKey)
  return plans
}

/** A group of store members, each a process of its own, on loopback and a temporary directory. */
export class StoreCluster {
  readonly directory: string
  readonly members: readonly StoreProcess[]

  private constructor(directory: string, members: readonly StoreProcess[]) {
    this.directory = directory
    this.members = members
  }

  /** Resolves when one leads. */
  static async start(options: StoreClusterOptions = {}): Promise<StoreCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'bench-store-'))
    const plans = await planMembers(directory, options)
    const members = plans.map((plan) => new StoreProcess(plan, options.execArgv ?? []))
    const cluster = new StoreCluster(directory, members)
    try {
      await Promise.all(members.map((member) => member.start()))
      await cluster.leader()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get pids(): readonly number[] {
    return this.members.map(({ pid }) => pid)
  }

  leader(): Promise<StoreProcess> {
    return until('a store member leads', () => this.members.find(({ role }) => role === 'leader'))
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()))
    await rm(this.directory, { recursive: true, force: true })
  }
}

const main = join(import.meta.dirname, 'member-main.ts')

/** One member, as the process that runs it is seen from here. */
export class StoreProcess {
  readonly plan: StorePlan
  readonly #execArgv: readonly string[]
  #child: ChildProcess | undefined
  #port = 0
  #role = ''
  #startedInMs = 0

  constructor(plan: StorePlan, execArgv: readonly string[] = []) {
    this.plan = plan
    this.#execArgv = execArgv
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get port(): number {
    return this.#port
  }

  get role(): string {
    return this.#role
  }

  /** From the start of its program to where it serves: mostly recovery. */
  get startedInMs(): number {
    return this.#startedInMs
  }

  /** Resolves once it serves. */
  async start(): Promise<void> {
    const child = fork(main, [JSON.stringify(this.plan)], {
      execArgv: [...this.#execArgv],
      env: { ...masterEnvironment, ...process.env },
    })
    this.#child = child
    child.on('message', (news: MemberNews) => {
      if (news.type === 'role') this.#role = news.role
    })
    child.once('exit', () => {
      if (this.#child === child) this.#role = ''
    })
    const news = await this.#hears('serving')
    this.#port = news.port
    this.#startedInMs = news.startedInMs
  }

  client(): StoreClient {
    return new StoreClient(this.#port)
  }

  state(): Promise<MemberState> {
    this.#ask({ ask: 'state' })
    return this.#hears('state')
  }

  forgetPauses(): void {
    this.#ask({ ask: 'forget-pauses' })
  }

  /** `kill -9`. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  #ask(question: MemberQuestion): void {
    this.#child?.send(question)
  }

  #hears<Type extends MemberNews['type']>(
    type: Type,
  ): Promise<Extract<MemberNews, { type: Type }>> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      if (child === undefined) return reject(new Error('the member was not started'))
      const ended = (): void => reject(new Error(`store member ${this.plan.nodeId} has ended`))
      const heard = (news: MemberNews): void => {
        if (news.type !== type) return
        child.off('message', heard)
        child.off('exit', ended)
        resolve(news as Extract<MemberNews, { type: Type }>)
      }
      child.on('message', heard)
      child.once('exit', ended)
    })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}
