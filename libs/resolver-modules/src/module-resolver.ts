import { Worker } from 'node:worker_threads'
import { Redacted, wipe } from '@conclave/kernel'
import type { Secret } from '@conclave/model'
import {
  moduleRefusals,
  type OutsideQuestion,
  type RefusedOutcome,
  type Resolved,
} from '@conclave/resolver'
import { ResolverNotInitialized } from './errors.ts'
import type { ModuleSpec } from './modules-document.ts'
import type { FromWorker, ToWorker, WorkerStart } from './worker-protocol.ts'

export interface ModuleResolverLimits {
  /** How long a module has to be loaded and made. */
  readonly startMs: number
  /** How long it has for one secret. */
  readonly timeoutMs: number
  /** How long its thread may keep silent after that, before it is ended. */
  readonly silenceMs: number
  readonly valueSizeBytesMax: number
  /** Questions for one secret each that may be under way. */
  readonly pendingMax: number
}

export const usualModuleLimits: ModuleResolverLimits = {
  startMs: 30_000,
  timeoutMs: 10_000,
  silenceMs: 1000,
  valueSizeBytesMax: 1_048_576,
  pendingMax: 1024,
}

interface Pending {
  readonly questionId: string
  readonly reference: string
  readonly answer: (resolved: Resolved) => void
  readonly timer: NodeJS.Timeout
}

const entry = new URL('module-worker.ts', import.meta.url)

/**
 * A secret resolver that somebody else wrote, in a thread of its own: what spins is ended, what crashes
 * takes nobody along, and each secret is answered within its time with bytes or a reason. The next
 * question after an end starts a new thread.
 */
export class ModuleResolver {
  readonly #spec: ModuleSpec
  readonly #limits: ModuleResolverLimits
  readonly #pending = new Map<number, Pending>()
  #worker: Promise<Worker> | undefined
  #lastId = 0
  #silence: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(spec: ModuleSpec, limits: Partial<ModuleResolverLimits>) {
    this.#spec = spec
    this.#limits = { ...usualModuleLimits, ...limits }
  }

  /**
   * Loads a module and makes its resolver.
   *
   * @throws ResolverNotInitialized when there is no such module, or it is no resolver
   */
  static async start(
    modules: ReadonlyMap<string, ModuleSpec>,
    name: string,
    limits: Partial<ModuleResolverLimits> = {},
  ): Promise<ModuleResolver> {
    const spec = modules.get(name)
    if (spec === undefined) throw new ResolverNotInitialized(`Module '${name}' unknown`)
    const resolver = new ModuleResolver(spec, limits)
    await resolver.#running()
    return resolver
  }

  get name(): string {
    return this.#spec.name
  }

  /** Answers once, with one entry for each secret of `question`, in order. */
  ask(question: OutsideQuestion, answer: (resolved: readonly Resolved[]) => void): void {
    const all = question.secrets.map(({ secret, purpose }) =>
      this.#askOne(question, secret, purpose),
    )
    void Promise.all(all).then((resolved) => answer(resolved))
  }

  /** Nobody waits for `questionId` any more: what comes is overwritten. */
  abandon(questionId: string): void {
    for (const [id, pending] of this.#pending) {
      if (pending.questionId !== questionId) continue
      this.#tell({ type: 'abandon', id })
      this.#finish(id, { outcome: 'unavailable', why: 'it was abandoned' })
    }
  }

  /** Lets the module close what it has open, and ends its thread. */
  async close(): Promise<void> {
    this.#isClosed = true
    const worker = await this.#worker?.catch(() => undefined)
    if (worker === undefined) return
    const closed = Promise.withResolvers<void>()
    const patience = setTimeout(() => closed.resolve(), this.#limits.silenceMs)
    worker.once('exit', () => closed.resolve())
    worker.on('message', ({ type }: FromWorker) => {
      if (type === 'closed') closed.resolve()
    })
    this.#tell({ type: 'close' })
    await closed.promise
    clearTimeout(patience)
    await worker.terminate()
  }

  async #askOne(question: OutsideQuestion, secret: Secret, purpose: string): Promise<Resolved> {
    const { frameworkId, taskId, containerId, questionId } = question
    const { reference } = secret
    if (reference === undefined) return { outcome: 'invalid', why: 'Secret has no reference' }
    if (this.#pending.size >= this.#limits.pendingMax) {
      return this.#refusal('unavailable', reference.name, 'has too much to answer already')
    }
    try {
      await this.#running()
    } catch {
      return this.#refusal('unavailable', reference.name, 'cannot be started')
    }
    const { promise, resolve: answer } = Promise.withResolvers<Resolved>()
    const id = ++this.#lastId
    const { timeoutMs } = this.#limits
    const timer = setTimeout(() => this.#late(id), timeoutMs)
    this.#pending.set(id, { questionId, reference: reference.name, answer, timer })
    this.#tell({
      type: 'resolve',
      id,
      secret: {
        type: 'REFERENCE',
        reference: {
          name: reference.name,
          ...(reference.key === undefined ? {} : { key: reference.key }),
        },
      },
      purpose,
      frameworkId,
      taskId,
      containerId,
      deadlineMs: Date.now() + timeoutMs,
    })
    return promise
  }

  #late(id: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#tell({ type: 'abandon', id })
    const why = `did not answer within ${this.#limits.timeoutMs / 1000} seconds`
    this.#finish(id, this.#refusal('unavailable', pending.reference, why))
    // A module that waits says so. One that spins cannot, and would never answer anybody again.
    if (this.#silence !== undefined) return
    this.#tell({ type: 'ping' })
    this.#silence = setTimeout(() => {
      this.#silence = undefined
      void this.#worker?.then(
        (worker) => worker.terminate(),
        () => {},
      )
    }, this.#limits.silenceMs)
  }

  #heard(message: FromWorker): void {
    switch (message.type) {
      case 'value': {
        const bytes = new Redacted(message.data)
        const pending = this.#pending.get(message.id)
        if (pending === undefined) return wipe(bytes)
        const path = pending.reference
        return this.#finish(message.id, { outcome: 'value', bytes, path, version: 0 })
      }
      case 'failed': {
        const pending = this.#pending.get(message.id)
        if (pending === undefined) return
        const outcome =
          (moduleRefusals as Record<string, RefusedOutcome>)[message.code] ?? 'invalid'
        const refusal = this.#refusal(outcome, pending.reference, `says: ${message.why}`)
        return this.#finish(message.id, refusal)
      }
      case 'pong':
        clearTimeout(this.#silence)
        this.#silence = undefined
        return
      case 'ready':
      case 'refused':
      case 'closed':
        return
    }
  }

  #finish(id: number, resolved: Resolved): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    pending.answer(resolved)
  }

  #refusal(outcome: RefusedOutcome, reference: string, why: string): Resolved {
    return { outcome, why: `Secret resolver '${this.name}' ${why} (secret '${reference}')` }
  }

  #tell(message: ToWorker): void {
    void this.#worker?.then(
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      (worker) => worker.postMessage(message),
      () => {},
    )
  }

  /** The thread, started anew when it has ended. @throws ResolverNotInitialized */
  #running(): Promise<Worker> {
    if (this.#isClosed) return Promise.reject(new ResolverNotInitialized('it is closed'))
    this.#worker ??= this.#start()
    return this.#worker
  }

  #start(): Promise<Worker> {
    const { name, library, url, parameters } = this.#spec
    const { valueSizeBytesMax, startMs } = this.#limits
    const data: WorkerStart = { name, library, url, parameters, valueSizeBytesMax }
    const worker = new Worker(entry, {
      name: `resolver ${name}`,
      workerData: data,
      // Nothing of the agent's environment goes along, and what a module prints is nobody's log.
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    })
    worker.stdout.resume()
    worker.stderr.resume()
    const made = Promise.withResolvers<Worker>()
    const patience = setTimeout(() => {
      refuse(`Error loading module '${name}': it was not made within ${startMs / 1000} seconds`)
    }, startMs)
    const refuse = (why: string): void => {
      made.reject(new ResolverNotInitialized(why))
      void worker.terminate()
    }
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') made.resolve(worker)
      if (message.type === 'refused') refuse(message.why)
      this.#heard(message)
    })
    // Told by its exit, too. Its words may hold anything.
    worker.on('error', () => {})
    worker.on('exit', () => {
      clearTimeout(patience)
      refuse(`Error loading module '${name}': it ended its thread`)
      this.#ended()
    })
    made.promise.then(
      () => clearTimeout(patience),
      () => {},
    )
    worker.unref()
    return made.promise
  }

  #ended(): void {
    this.#worker = undefined
    clearTimeout(this.#silence)
    this.#silence = undefined
    for (const [id, { reference }] of this.#pending) {
      this.#finish(id, this.#refusal('unavailable', reference, 'ended without an answer'))
    }
  }
}
