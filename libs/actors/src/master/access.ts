import type { Clock } from '@conclave/kernel'
import type { Action, AuditRecord, EventDraft, ResourceId } from '@conclave/model'
import { secretResource, type SecretPath } from '@conclave/model'
import type { AuditSink } from '../ports.ts'
import { AccessDenied } from './errors.ts'
import type { Caller, IdentityApi } from './master-api.ts'

export interface AccessOptions {
  readonly identity: Pick<IdentityApi, 'allowed'> & { isSuperuser(uid: string): boolean }
  readonly audit: AuditSink
  readonly clock: Clock
  readonly emit: (draft: EventDraft) => void
}

interface Opened {
  readonly expiresAtMs: number
  readonly controller: AbortController
}

/** May they, and the line that says so: what every service does before it acts. */
export class Access {
  readonly #options: AccessOptions
  readonly #opened = new Set<Opened>()
  #isRecording = true
  #lastWritten: Promise<void> | undefined
  readonly #recorded = (): void => void (this.#isRecording = true)
  readonly #notRecorded = (): void => void (this.#isRecording = false)

  constructor(options: AccessOptions) {
    this.#options = options
  }

  may(caller: Caller, resource: ResourceId, action: Action): boolean {
    const { principal } = caller
    const { identity } = this.#options
    if (!this.isValid(caller)) return false
    // Who may do anything is known without a look at what: each new secret would be another one.
    return identity.isSuperuser(principal.uid) || identity.allowed(principal, resource, action)
  }

  /** Whether the token that they came with still counts. */
  isValid({ expiresAtMs }: Caller): boolean {
    return expiresAtMs === undefined || this.#options.clock.nowMs() < expiresAtMs
  }

  /** For a stream: `signal`, and a signal as well that the token which opened it has come to its end. */
  whileValid({ expiresAtMs }: Caller, signal: AbortSignal): AbortSignal {
    if (expiresAtMs === undefined || signal.aborted) return signal
    const controller = new AbortController()
    const opened = { expiresAtMs, controller }
    this.#opened.add(opened)
    signal.addEventListener(
      'abort',
      () => {
        this.#opened.delete(opened)
        controller.abort()
      },
      { once: true },
    )
    return controller.signal
  }

  /** Looks for streams whose tokens have come to their end. */
  endExpired(): void {
    const nowMs = this.#options.clock.nowMs()
    for (const opened of this.#opened) {
      if (nowMs < opened.expiresAtMs) continue
      this.#opened.delete(opened)
      opened.controller.abort()
    }
  }

  mayRead(caller: Caller, path: SecretPath): boolean {
    return this.may(caller, secretResource(path), 'read')
  }

  /** As {@link mayRead}, for many paths at once: what covers all of them is looked up once. */
  readerOf(caller: Caller): (path: SecretPath) => boolean {
    if (!this.isValid(caller)) return () => false
    return this.mayReadAll(caller) ? () => true : (path) => this.mayRead(caller, path)
  }

  /** Whether they may read every secret there is, without a look at any. */
  mayReadAll(caller: Caller): boolean {
    return this.isValid(caller) && this.#options.identity.isSuperuser(caller.principal.uid)
  }

  /** For what is no request that would be answered once: a stream. @throws AccessDenied */
  demand(caller: Caller, resource: ResourceId, action: Action): void {
    if (this.may(caller, resource, action)) return
    const { uid } = caller.principal
    this.#options.emit({ type: 'auth.refused', uid, resource, action })
    throw new AccessDenied(uid, action, resource)
  }

  /** A stream for as long as its reader may have it: nothing is told any more once that is over. */
  async *whileAllowed<T>(
    caller: Caller,
    resource: ResourceId,
    action: Action,
    items: AsyncIterable<T>,
  ): AsyncGenerator<T> {
    for await (const item of items) {
      this.demand(caller, resource, action)
      yield item
    }
  }

  /** Resolves once durable: nothing may be answered before (docs/architecture.md, S3). */
  audit(
    { principal, requestId }: Caller,
    action: AuditRecord['action'],
    path: string,
    outcome: AuditRecord['outcome'],
    version?: number,
  ): Promise<void> {
    const { audit, clock } = this.#options
    const { uid } = principal
    const atMs = clock.nowMs()
    const written = audit.append(
      version === undefined
        ? { atMs, principal: uid, action, path, outcome, requestId }
        : { atMs, principal: uid, action, path, outcome, requestId, version },
    )
    // Records that are written together share a promise.
    if (written !== this.#lastWritten) {
      this.#lastWritten = written
      written.then(this.#recorded, this.#notRecorded)
    }
    return written
  }

  /**
   * For a change, which can wait for two disks at once: `act` may begin it once `record` was called,
   * and whatever comes of it is answered only when the record is durable. After a failure of the log
   * nothing is begun any more until a record was written first.
   */
  async beside<T>(
    write: () => Promise<void>,
    act: (record: () => Promise<void> | undefined) => Promise<T>,
  ): Promise<T> {
    let written: Promise<void> | undefined
    const record = (): Promise<void> | undefined => {
      if (written === undefined) {
        written = write()
        // Whoever waits for it below hears of a failure; until then it is nobody's.
        written.catch(() => undefined)
      }
      return this.#isRecording ? undefined : written
    }
    try {
      return await act(record)
    } finally {
      await written
    }
  }

  /** The refusal, once it is on record. */
  async denied(
    caller: Caller,
    as: AuditRecord['action'],
    resource: ResourceId,
    action: Action,
    path: string,
  ): Promise<AccessDenied> {
    await this.audit(caller, as, path, 'denied')
    const { uid } = caller.principal
    this.#options.emit({ type: 'auth.refused', uid, resource, action })
    return new AccessDenied(uid, action, resource)
  }
}
