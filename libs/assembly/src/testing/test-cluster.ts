import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { createLogger, type Log } from '@conclave/runtime'
import type { RunningAgent } from '../agent/index.ts'
import { urlsOf, type MasterAddress } from '../cluster/addresses.ts'
import { masterDirectory, schedulerDirectory } from '../cluster/layout.ts'
import { startMemberAgent, type MemberAgentOptions } from '../cluster/member-agent.ts'
import { loadAccountKey } from '../cluster/member-files.ts'
import { addressesFor, prepareCluster, type PreparedCluster } from '../cluster/prepare-cluster.ts'
import type { MasterOptions } from '../master/master-options.ts'
import type { RunningMaster } from '../master/master.ts'
import { startMaster } from '../master/start-master.ts'
import { startScheduler } from '../scheduler/start-scheduler.ts'

/** Whoever asks in tests: the set-up makes `dev` a superuser. */
export const devCaller = { principal: { uid: 'dev' }, requestId: 'a-test' }

/** Masters on real disks and sockets, in a directory of their own, and every line that they log. */
export class TestCluster {
  readonly directory: string
  readonly prepared: PreparedCluster
  readonly addresses: readonly MasterAddress[]
  readonly masters: RunningMaster[] = []
  readonly agents: RunningAgent[] = []
  readonly lines: string[] = []
  readonly #ends: (() => void)[] = []
  readonly log: Log

  private constructor(
    directory: string,
    prepared: PreparedCluster,
    addresses: readonly MasterAddress[],
  ) {
    this.directory = directory
    this.prepared = prepared
    this.addresses = addresses
    const to = new Writable({
      write: (line: Buffer, _encoding, done) => {
        this.lines.push(line.toString('utf8'))
        done()
      },
    })
    this.log = createLogger({ level: 'trace', to })
  }

  static async start(
    plan: { readonly masters: number; readonly agents?: number },
    options: Partial<MasterOptions> = {},
  ): Promise<TestCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'conclave-cluster-'))
    const prepared = await prepareCluster(directory, { agents: 0, ...plan })
    const cluster = new TestCluster(directory, prepared, await addressesFor(prepared))
    await Promise.all(
      cluster.addresses.map(({ masterId }) => cluster.startMaster(masterId, options)),
    )
    await Promise.all(cluster.masters.map((master) => master.ready()))
    return cluster
  }

  async startMaster(
    masterId: string,
    options: Partial<MasterOptions> = {},
  ): Promise<RunningMaster> {
    const master = await startMaster({
      directory: this.directoryOf(masterId),
      masters: this.addresses,
      segmentSizeBytes: 256 * 1024,
      log: this.log,
      ...options,
    })
    this.masters.push(master)
    return master
  }

  /** An agent that was prepared, or that has joined in `directory`. */
  async startAgent(
    directory: string,
    options: Partial<MemberAgentOptions> = {},
  ): Promise<RunningAgent> {
    const { agent } = await startMemberAgent({
      directory,
      masters: this.addresses,
      log: this.log,
      ...options,
    })
    this.agents.push(agent)
    return agent
  }

  /** The scheduler that launches runs. */
  async startScheduler(): Promise<void> {
    const [{ schedulerId, uid } = { schedulerId: '', uid: '' }] = this.prepared.manifest.schedulers
    const directory = schedulerDirectory(this.directory, schedulerId)
    const scheduler = await startScheduler({
      directory,
      masters: this.addresses.map(urlsOf),
      account: { uid, privateKey: await loadAccountKey(directory) },
      log: this.log,
    })
    this.#ends.push(() => scheduler.destroy())
  }

  directoryOf(masterId: string): string {
    return masterDirectory(this.directory, masterId)
  }

  get leader(): RunningMaster {
    const found = this.masters.find(({ api }) => api.status().role === 'leader')
    if (found === undefined) throw new Error('nobody leads')
    return found
  }

  get follower(): RunningMaster {
    const { leader } = this
    const found = this.masters.find((master) => master !== leader)
    if (found === undefined) throw new Error('there is no follower')
    return found
  }

  /** The files below its directory in which `bytes` stand, as they are, in hex or in base64. */
  async filesHolding(bytes: Uint8Array): Promise<string[]> {
    const found: string[] = []
    const kept = Buffer.from(bytes)
    const forms = [kept, kept.toString('hex'), kept.toString('base64')]
    for (const entry of await readdir(this.directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const content = await readFile(join(entry.parentPath, entry.name))
      if (forms.some((form) => content.includes(form))) found.push(entry.name)
    }
    return found
  }

  async remove(): Promise<void> {
    for (const end of this.#ends) end()
    for (const agent of this.agents) agent.destroy()
    await Promise.all(this.masters.map((master) => master.destroy()))
    await rm(this.directory, { recursive: true, force: true, maxRetries: 10 })
  }
}
