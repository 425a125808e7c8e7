import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import type { Caller, MasterApi } from '@conclave/actors'
import { Redacted, wipe, type RedactedBytes } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import { z } from 'zod'
import type { MasterAddress } from '../cluster/addresses.ts'
import { urlsOf } from '../cluster/addresses.ts'
import { NodeDisk } from '@conclave/journal'
import { FrameworkMemory } from '../scheduler/framework-file.ts'
import { startScheduler, type RunningScheduler } from '../scheduler/start-scheduler.ts'
import { eraseOn } from '../whole-on-disk.ts'

/** The key of the scheduler's account: a secret like any other, so that every manager can read it. */
const keyPath = 'conclave/engine/scheduler-key'
const account = 'scheduler-1'
const documents = { kind: 'docker-scheduler', name: 'default' } as const
const Kept = z.object({ frameworkId: z.string() })

export interface LeaderSchedulerOptions {
  readonly master: MasterApi
  readonly caller: () => Caller
  readonly place: MasterAddress
  /** Where it keeps what it needs while it runs; the founder's has the account's key at first. */
  readonly directory: string
  readonly log: Log
}

/**
 * The scheduler of a swarm of engines: it runs beside whoever leads, and speaks to that master alone. It is one
 * and the same framework wherever it runs, since its key and its id are in the store.
 */
export class LeaderScheduler {
  readonly #options: LeaderSchedulerOptions
  #scheduler: RunningScheduler | undefined
  #isBusy = false
  #isStopped = false

  constructor(options: LeaderSchedulerOptions) {
    this.#options = options
  }

  /** Looks whether it should run. To be told now and then. */
  tick(): void {
    const { role, isReady } = this.#options.master.status()
    const isWanted = role === 'leader' && isReady && !this.#isStopped
    if (!isWanted) return this.#end()
    if (this.#scheduler !== undefined || this.#isBusy) return
    this.#isBusy = true
    void this.#begin()
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error }, 'the scheduler is started again in a while'),
      )
      .finally(() => (this.#isBusy = false))
  }

  stop(): void {
    this.#isStopped = true
    this.#end()
  }

  #end(): void {
    this.#scheduler?.destroy()
    this.#scheduler = undefined
  }

  async #begin(): Promise<void> {
    const { directory, place, log } = this.#options
    const privateKey = await this.#key()
    if (privateKey === undefined) return
    const frameworkId = await this.#frameworkId()
    const memory = await FrameworkMemory.open(directory)
    if (frameworkId !== undefined) await memory.keep(frameworkId)
    if (this.#isStopped) return
    const scheduler = await startScheduler({
      directory,
      masters: [urlsOf(place)],
      account: { uid: account, privateKey },
      log,
    })
    this.#scheduler = scheduler
    await scheduler.subscribed
    const now = scheduler.frameworkId
    if (now !== undefined && now !== frameworkId) await this.#keepFrameworkId(now)
  }

  /** The founder's file goes into the store first. Undefined in a cluster that has a scheduler of its own. */
  async #key(): Promise<RedactedBytes | undefined> {
    const { master, caller, directory } = this.#options
    const file = join(directory, 'account.key')
    const bytes = await readFile(file).catch(() => undefined)
    if (bytes !== undefined) {
      const input = { kind: 'binary', bytes: new Redacted(Uint8Array.from(bytes)) } as const
      wipe(bytes)
      await master.secrets.create(caller(), keyPath, input).catch(unlessCode('secret.exists'))
      await eraseOn(new NodeDisk(), file)
    }
    try {
      return (await master.secrets.read(caller(), keyPath)).bytes
    } catch (error) {
      unlessCode('secret.not-found')(error)
      return undefined
    }
  }

  async #frameworkId(): Promise<string | undefined> {
    const { master, caller } = this.#options
    const kept = await master.documents.byName(caller(), documents.kind, documents.name)
    return Kept.safeParse(kept?.body).data?.frameworkId
  }

  async #keepFrameworkId(frameworkId: string): Promise<void> {
    const { master, caller } = this.#options
    const { kind, name } = documents
    const known = await master.documents.byName(caller(), kind, name)
    if (known !== undefined) {
      await master.documents.update(caller(), kind, known.id, { frameworkId })
    } else {
      await master.documents.create(caller(), kind, { id: name, name, body: { frameworkId } })
    }
  }
}

const unlessCode =
  (code: string) =>
  (error: unknown): void => {
    if ((error as { code?: unknown }).code !== code) throw error
  }
