import { openEnvelope, sealEnvelope } from '@conclave/crypto'
import { wipe, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import {
  parseSecretFolder,
  parseSecretPath,
  secretListResource,
  secretResource,
  secretSizeBytesMax,
  type EventDraft,
  type SecretMetadata,
  type SecretPath,
  type SecretVersion,
} from '@conclave/model'
import type { Compare } from '@conclave/store'
import type { Access } from './access.ts'
import type { ClusterKeys } from './cluster-keys.ts'
import {
  SecretChanged,
  SecretExists,
  SecretInUse,
  SecretNotFound,
  SecretTooLarge,
  SecretUnreadable,
  VersionConflict,
} from './errors.ts'
import { identityChangedKey } from './identity/identity-records.ts'
import { inlinePath } from './inline-path.ts'
import type { SecretIndex } from './secret-index.ts'
import { operatorResource } from './resources.ts'
import { checkLabels, isForOperators } from './secret-labels.ts'
import type {
  Caller,
  DeletedOnly,
  SecretApi,
  SecretInput,
  SecretQuery,
  SecretValue,
} from './master-api.ts'
import { encodeRecord, Records, type Kept } from './record.ts'
import {
  decideAndCommit,
  isStill,
  type Decision,
  type Look,
  type Replicated,
} from './replicated.ts'
import {
  currentVersion,
  deleteAll,
  envelopeKey,
  LastVersion,
  lastVersionKey,
  metadataOf,
  putVersion,
  secretKey,
  secretPrefix,
  SecretRecord,
  withVersion,
} from './secret-records.ts'

export interface SecretServiceOptions {
  readonly clusterId: string
  readonly replicated: Replicated
  readonly keys: ClusterKeys
  readonly access: Access
  readonly index: SecretIndex
  readonly users: SecretUsers
  /** See {@link IdentityService.changedRevision}. */
  readonly identityRevision: () => number
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  readonly secretSizeBytesMax?: number
}

type Known = Kept<SecretRecord> | undefined
type SecretRead = Extract<EventDraft, { type: 'secret.read' }>

/** A list that is longer is made anew each time, rather than kept in memory. */
const listedMax = 16_384

export interface StandingSecret {
  readonly id: string
  readonly claim: Compare
}

/** Who refers to secrets: the workloads of this cluster. */
export interface SecretUsers {
  /** Their names, sorted, as the state here has them. */
  of(path: SecretPath): readonly string[]
  /** The claim that none of them has begun to refer to a secret since. */
  claim(): Compare
}

/**
 * Secrets, on any master: check, then seal and commit beside the audit record, or open behind it.
 * Plaintext is here only between a caller's buffer and an envelope, and is wiped on every way out.
 */
export class SecretService implements SecretApi {
  readonly #options: SecretServiceOptions
  readonly #replicated: Replicated
  readonly #access: Access
  readonly #records: Records<SecretRecord>
  /** By the record that it is of: a record is parsed once for each revision. */
  readonly #shown = new WeakMap<SecretRecord, SecretMetadata>()
  /** The last one told of each record: it is the same for whoever reads it again, and is kept for long. */
  readonly #told = new WeakMap<SecretRecord, SecretRead>()
  /** What was listed last for somebody who may read everything. */
  #listed:
    | {
        readonly folder: SecretPath | ''
        readonly changeCount: number
        readonly all: readonly SecretMetadata[]
      }
    | undefined
  readonly #lastVersions: Records<{ readonly version: number }>
  readonly #sizeBytesMax: number

  constructor(options: SecretServiceOptions) {
    this.#options = options
    this.#replicated = options.replicated
    this.#access = options.access
    this.#records = new Records(options.replicated.view, SecretRecord, 32_768)
    this.#lastVersions = new Records(options.replicated.view, LastVersion)
    this.#sizeBytesMax = options.secretSizeBytesMax ?? secretSizeBytesMax
  }

  create(caller: Caller, path: string, input: SecretInput): Promise<SecretMetadata> {
    return this.#write(caller, path, input, 'create', (at, known) => {
      const isTaken =
        known !== undefined || (input.isAloneInAnyCase === true && this.#hasTwin(caller, at))
      return isTaken ? new SecretExists(at) : undefined
    })
  }

  /** Whether the caller may read another secret whose path differs from `path` in its case. */
  #hasTwin(caller: Caller, path: SecretPath): boolean {
    const others = this.#options.index.byFoldedPath(path)
    return others.some((other) => other !== path && this.#access.mayRead(caller, other))
  }

  update(
    caller: Caller,
    path: string,
    input: SecretInput,
    expectedVersion?: number,
  ): Promise<SecretMetadata> {
    return this.#write(caller, path, input, 'update', (at, known) => {
      if (known === undefined) return new SecretNotFound(at)
      const { version } = currentVersion(known.record)
      return expectedVersion === undefined || expectedVersion === version
        ? undefined
        : new VersionConflict(at, expectedVersion, version)
    })
  }

  async read(caller: Caller, path: string, version?: number): Promise<SecretValue> {
    const at = parseSecretPath(path)
    await this.#replicated.refresh()
    const known = this.#readableNow(caller, at)
    if (known === undefined) throw await this.#whyUnreadable(caller, at)
    const { record } = known
    const found = versionOf(record, version)
    const envelope = found && this.#replicated.view.get(envelopeKey(at, found.version))?.value
    if (found === undefined || envelope === undefined) {
      await this.#access.audit(caller, 'read', at, 'not-found')
      throw new SecretNotFound(at, version)
    }
    await this.#access.audit(caller, 'read', at, 'allowed', found.version)
    const bytes = this.open(at, found.version, envelope)
    this.#options.emit(this.#readEvent(record, at, found.version, caller.principal.uid))
    const metadata =
      version === undefined
        ? this.#metadataOf(at, known)
        : { ...metadataOf(at, record, found), ...this.#named(at, known) }
    return { metadata, bytes }
  }

  async metadata(caller: Caller, path: string): Promise<SecretMetadata> {
    const at = parseSecretPath(path)
    const { record, ...stored } = await this.#readable(caller, at)
    await this.#access.audit(caller, 'list', at, 'allowed')
    return {
      ...metadataOf(at, record),
      versions: record.versions,
      ...this.#named(at, stored),
    }
  }

  async versions(caller: Caller, path: string): Promise<readonly SecretMetadata[]> {
    const at = parseSecretPath(path)
    const { record } = await this.#readable(caller, at)
    await this.#access.audit(caller, 'list', at, 'allowed')
    return record.versions.map((version) => metadataOf(at, record, version)).toReversed()
  }

  async delete(caller: Caller, path: string, only: DeletedOnly = {}): Promise<void> {
    const at = parseSecretPath(path)
    const { users } = this.#options
    const audit = (): Promise<void> => this.#access.audit(caller, 'delete', at, 'allowed')
    await this.#access.beside(audit, (record) =>
      decideAndCommit(this.#replicated, async (): Promise<Decision<void>> => {
        const known = this.#records.get(secretKey(at))
        const compare = this.#claims(at, known)
        if (!this.#access.may(caller, secretResource(at), 'delete')) {
          return { refuse: () => this.#denied(caller, at, 'delete') }
        }
        const isIt = only.ifId === undefined || (known && this.#named(at, known).id === only.ifId)
        if (known === undefined || !isIt)
          return { refuse: () => this.#refused(caller, at, 'delete', new SecretNotFound(at)) }
        const claims = only.ifUnused === true ? [...compare, users.claim()] : compare
        const usedBy = only.ifUnused === true ? users.of(at) : []
        if (usedBy.length > 0) {
          return { refuse: () => this.#refused(caller, at, 'delete', new SecretInUse(at, usedBy)) }
        }
        await record()
        return {
          commit: { compare: claims, success: deleteAll(at, known.record) },
          committed: (revision) =>
            this.#options.emit({ type: 'secret.deleted', path: at, revision }),
        }
      }),
    )
  }

  async relabel(
    caller: Caller,
    path: string,
    labels: Readonly<Record<string, string>>,
    expectedRevision?: number,
  ): Promise<SecretMetadata> {
    const at = parseSecretPath(path)
    checkLabels(labels)
    const audit = (): Promise<void> => this.#access.audit(caller, 'update', at, 'allowed')
    return this.#access.beside(audit, (record) =>
      decideAndCommit(this.#replicated, async (): Promise<Decision<SecretMetadata>> => {
        const known = this.#records.get(secretKey(at))
        const compare = this.#claims(at, known)
        if (!this.#access.may(caller, secretResource(at), 'update')) {
          return { refuse: () => this.#denied(caller, at, 'update') }
        }
        if (!this.#mayLabel(caller, known, labels)) {
          return { refuse: () => this.#deniedLabels(caller, at, 'update') }
        }
        const why =
          known === undefined
            ? new SecretNotFound(at)
            : expectedRevision === undefined || known.modRevision === expectedRevision
              ? undefined
              : new SecretChanged(at)
        if (known === undefined || why !== undefined) {
          return {
            refuse: () => this.#refused(caller, at, 'update', why ?? new SecretNotFound(at)),
          }
        }
        await record()
        const relabelled = { ...known.record, labels }
        const success = [
          { do: 'put', key: secretKey(at), value: encodeRecord(relabelled) },
        ] as const
        return {
          commit: { compare, success },
          committed: (revision) => this.#stored(at, relabelled, revision, known),
        }
      }),
    )
  }

  async find(caller: Caller, by: SecretQuery): Promise<readonly SecretMetadata[]> {
    await this.#replicated.refresh()
    const found = this.#indexed(by).flatMap((path) => {
      const known = this.#records.get(secretKey(path))
      if (known === undefined || !this.#access.mayRead(caller, path)) return []
      return [this.#metadataOf(path, known)]
    })
    const asked = 'foldedPath' in by ? by.foldedPath : 'id' in by ? by.id : by.idPrefix
    await this.#access.audit(caller, 'list', asked, found.length > 0 ? 'allowed' : 'not-found')
    return found
  }

  #indexed(by: SecretQuery): readonly SecretPath[] {
    const { index } = this.#options
    if ('foldedPath' in by) return index.byFoldedPath(by.foldedPath)
    if ('idPrefix' in by) return index.byIdPrefix(by.idPrefix)
    const path = index.byId(by.id)
    return path === undefined ? [] : [path]
  }

  async list(caller: Caller, folder: string): Promise<readonly string[] | undefined> {
    const below = parseSecretFolder(folder)
    const prefix = below === '' ? '' : `${below}/`
    const readable = await this.#readableBelow(caller, below)
    const ids = readable.map(({ path }) => path.slice(prefix.length))
    if (ids.length > 0 || below === '') return ids
    // That a folder is there, with nothing in it for this caller, is for those who may list it.
    const isThere = this.#replicated.view.list(secretPrefix + prefix, { limit: 1, keysOnly: true })
    const mayList = this.#access.may(caller, secretListResource(below), 'read')
    return isThere.kvs.length > 0 && mayList ? [] : undefined
  }

  async listMetadata(caller: Caller, folder: string): Promise<readonly SecretMetadata[]> {
    return this.#readableBelow(caller, parseSecretFolder(folder))
  }

  /**
   * The value in an envelope of this cluster, for whoever has shown that it may be released. The
   * caller wipes it.
   *
   * @throws SecretUnreadable
   */
  open(path: string, version: number, envelope: Uint8Array): RedactedBytes {
    const { clusterId, keys } = this.#options
    const keyring = keys.keyring()
    try {
      return openEnvelope({ clusterId, path, version, keyring, envelope })
    } catch (cause) {
      throw new SecretUnreadable(path, cause)
    }
  }

  /** Seals a value that has no path of its own. It stays the caller's to wipe. */
  sealInline(id: string, bytes: RedactedBytes): Uint8Array {
    const size = bytes.reveal().length
    if (size > this.#sizeBytesMax) {
      throw new SecretTooLarge('an inline secret', size, this.#sizeBytesMax)
    }
    return this.#seal(inlinePath(id), 1, bytes)
  }

  /** The current version of a secret, or null while there is none. */
  currentVersionOf(path: string): number | null {
    const known = this.#records.get(secretPrefix + path)
    return known === undefined ? null : currentVersion(known.record).version
  }

  /** The secret that is at `path` now: its id, and the claim that it is still that one. */
  standing(path: string): StandingSecret | undefined {
    const key = secretPrefix + path
    const known = this.#records.get(key)
    if (known === undefined) return undefined
    const { createRevision } = known
    return {
      id: this.#options.index.idOf(path, createRevision),
      claim: { key, target: 'createRevision', is: '=', operand: createRevision },
    }
  }

  /** The labels of a secret, where there is one. */
  labelsOf(path: string): Readonly<Record<string, string>> | undefined {
    return this.#records.get(secretPrefix + path)?.record.labels
  }

  /** A version of a secret, the current one if none is named, with its sealed bytes. */
  sealedVersion(
    path: SecretPath,
    version: number | undefined,
  ): { readonly version: number; readonly envelope: Uint8Array } | undefined {
    const record = this.#records.get(secretKey(path))?.record
    const found = record && versionOf(record, version)
    const envelope = found && this.#replicated.view.get(envelopeKey(path, found.version))?.value
    return found && envelope && { version: found.version, envelope }
  }

  async #write(
    caller: Caller,
    path: string,
    input: SecretInput,
    action: 'create' | 'update',
    fault: (at: SecretPath, known: Known) => Error | undefined,
  ): Promise<SecretMetadata> {
    try {
      const at = parseSecretPath(path)
      const sizeBytes = input.bytes.reveal().length
      if (sizeBytes > this.#sizeBytesMax) {
        throw new SecretTooLarge(`secret ${at}`, sizeBytes, this.#sizeBytesMax)
      }
      if (input.labels !== undefined) checkLabels(input.labels)
      const audit = (): Promise<void> => this.#access.audit(caller, action, at, 'allowed')
      return await this.#access.beside(audit, (record) =>
        decideAndCommit(this.#replicated, (): Look<SecretMetadata> => {
          const known = this.#records.get(secretKey(at))
          const lastKey = lastVersionKey(at)
          const last = this.#lastVersions.get(lastKey)
          const compare = [...this.#claims(at, known), isStill(lastKey, last)]
          if (!this.#access.may(caller, secretResource(at), action)) {
            return { refuse: () => this.#denied(caller, at, action) }
          }
          if (!this.#mayLabel(caller, known, input.labels)) {
            return { refuse: () => this.#deniedLabels(caller, at, action) }
          }
          const found = fault(at, known)
          if (found !== undefined) return { refuse: () => this.#refused(caller, at, action, found) }
          const sealed = (): Decision<SecretMetadata> => {
            const before = known === undefined ? last?.record : currentVersion(known.record)
            const added: SecretVersion = {
              version: (before?.version ?? 0) + 1,
              kind: input.kind,
              sizeBytes,
              createdAtMs: this.#options.clock.nowMs(),
            }
            const next = withVersion(known?.record, added, input.labels)
            const envelope = this.#seal(at, added.version, input.bytes)
            this.#tellSealed(at, added)
            return {
              commit: { compare, success: putVersion(at, next, envelope) },
              committed: (revision) => this.#stored(at, next.record, revision, known),
            }
          }
          const recorded = record()
          return recorded === undefined ? sealed() : recorded.then(sealed)
        }),
      )
    } finally {
      wipe(input.bytes)
    }
  }

  #stored(path: SecretPath, record: SecretRecord, revision: number, known: Known): SecretMetadata {
    const { version } = currentVersion(record)
    const change = known === undefined ? 'created' : 'updated'
    this.#options.emit({ type: 'secret.stored', path, version, revision, change })
    const createRevision = known?.createRevision ?? revision
    const names = this.#named(path, { createRevision, modRevision: revision })
    return { ...metadataOf(path, record), ...names }
  }

  #readEvent(record: SecretRecord, path: SecretPath, version: number, uid: string): SecretRead {
    const last = this.#told.get(record)
    if (last?.version === version && last.uid === uid) return last
    const event = Object.freeze<SecretRead>({ type: 'secret.read', path, version, uid })
    this.#told.set(record, event)
    return event
  }

  /** What may be shown of the current version: the same object as long as the record is the same. */
  #metadataOf(path: SecretPath, known: Kept<SecretRecord>): SecretMetadata {
    const { record } = known
    const shown = this.#shown.get(record)
    if (shown !== undefined) return shown
    const metadata = Object.freeze({ ...metadataOf(path, record), ...this.#named(path, known) })
    this.#shown.set(record, metadata)
    return metadata
  }

  #named(
    path: SecretPath,
    { createRevision, modRevision }: Omit<Kept<SecretRecord>, 'record'>,
  ): Pick<SecretMetadata, 'id' | 'revision'> {
    return {
      id: this.#options.index.idOf(path, createRevision),
      revision: modRevision,
    }
  }

  #tellSealed(path: SecretPath, { version, sizeBytes, kind }: SecretVersion): void {
    const dekId = this.#options.keys.keyring().newest.id
    this.#options.emit({ type: 'secret.sealed', path, version, dekId, sizeBytes, kind })
  }

  #seal(path: string, version: number, plaintext: RedactedBytes): Uint8Array {
    const { clusterId, keys, random } = this.#options
    const dek = keys.keyring().newest
    return sealEnvelope({ clusterId, path, version, dek, plaintext, random })
  }

  /** What must still be so when the change is applied: the record, and everybody's rights. */
  #claims(path: SecretPath, known: Known): readonly Compare[] {
    return [
      isStill(secretKey(path), known),
      {
        key: identityChangedKey,
        target: 'modRevision',
        is: '=',
        operand: this.#options.identityRevision(),
      },
    ]
  }

  /** The record at `path`, read freshly, if the caller may read its secret. Does not audit success. */
  async #readable(caller: Caller, path: SecretPath): Promise<Kept<SecretRecord>> {
    await this.#replicated.refresh()
    const known = this.#readableNow(caller, path)
    if (known === undefined) throw await this.#whyUnreadable(caller, path)
    return known
  }

  /** The record at `path` as it is here, if it is there and the caller may read its secret. */
  #readableNow(caller: Caller, path: SecretPath): Known {
    return this.#access.mayRead(caller, path) ? this.#records.get(secretKey(path)) : undefined
  }

  /** What is not granted is denied before anything else is said. */
  #whyUnreadable(caller: Caller, path: SecretPath): Promise<Error> {
    return this.#access.mayRead(caller, path)
      ? this.#refused(caller, path, 'read', new SecretNotFound(path))
      : this.#denied(caller, path, 'read')
  }

  async #readableBelow(
    caller: Caller,
    folder: SecretPath | '',
  ): Promise<readonly SecretMetadata[]> {
    await this.#replicated.refresh()
    const found = this.#access.mayReadAll(caller)
      ? this.#allBelow(folder)
      : this.#below(folder, this.#access.readerOf(caller))
    await this.#access.audit(caller, 'list', folder === '' ? '/' : folder, 'allowed')
    return found
  }

  /** The same list until a secret changes, so that what a face makes of it can be kept as well. */
  #allBelow(folder: SecretPath | ''): readonly SecretMetadata[] {
    const { changeCount } = this.#options.index
    const known = this.#listed
    if (known?.folder === folder && known.changeCount === changeCount) return known.all
    const all = this.#below(folder, () => true)
    this.#listed = all.length > listedMax ? undefined : { folder, changeCount, all }
    return all
  }

  #below(
    folder: SecretPath | '',
    mayRead: (path: SecretPath) => boolean,
  ): readonly SecretMetadata[] {
    const prefix = folder === '' ? secretPrefix : `${secretPrefix}${folder}/`
    const found: SecretMetadata[] = []
    for (const { key, ...known } of this.#records.list(prefix)) {
      const path = key.slice(secretPrefix.length) as SecretPath
      if (mayRead(path)) found.push(this.#metadataOf(path, known))
    }
    return found
  }

  #mayLabel(caller: Caller, known: Known, labels: SecretInput['labels']): boolean {
    if (!isForOperators(known?.record.labels, labels)) return true
    return this.#access.may(caller, operatorResource, 'full')
  }

  #deniedLabels(caller: Caller, path: SecretPath, action: 'create' | 'update') {
    return this.#access.denied(caller, action, operatorResource, 'full', path)
  }

  #denied(caller: Caller, path: SecretPath, action: 'create' | 'read' | 'update' | 'delete') {
    return this.#access.denied(caller, action, secretResource(path), action, path)
  }

  async #refused(
    caller: Caller,
    path: SecretPath,
    action: 'create' | 'read' | 'update' | 'delete',
    why: Error,
  ): Promise<Error> {
    const outcome = why instanceof SecretNotFound ? 'not-found' : 'failed'
    await this.#access.audit(caller, action, path, outcome)
    return why
  }
}

const versionOf = (record: SecretRecord, version: number | undefined): SecretVersion | undefined =>
  version === undefined
    ? currentVersion(record)
    : record.versions.find((kept) => kept.version === version)
