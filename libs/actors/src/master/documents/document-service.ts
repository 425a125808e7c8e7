import type { Clock } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { Op } from '@conclave/store'
import type { Access } from '../access.ts'
import type { Caller } from '../master-api.ts'
import { encodeRecord, Records } from '../record.ts'
import { decideAndCommit, isStill, type Decision, type Replicated } from '../replicated.ts'
import { operatorResource } from '../resources.ts'
import type { Document, DocumentApi, DocumentInput } from './document-api.ts'
import {
  documentKey,
  documentNameKey,
  DocumentNameRecord,
  documentOf,
  documentPrefix,
  DocumentRecord,
  putDocument,
  putDocumentName,
} from './document-records.ts'
import { DocumentChanged, DocumentExists, DocumentInvalid, DocumentNotFound } from './errors.ts'

export interface DocumentServiceOptions {
  readonly replicated: Replicated
  readonly access: Access
  readonly clock: Clock
  readonly emit: (draft: EventDraft) => void
}

/** A config of Docker's has up to 1 MB, which is a third more in base64. */
const bodyBytesMax = 1_500_000
const kindShape = /^[a-z][a-z0-9-]{0,63}$/
const idShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
const nameShape = /^[^\p{Cc}/]{1,255}$/u

/** Documents of the faces, on any master. */
export class DocumentService implements DocumentApi {
  readonly #options: DocumentServiceOptions
  readonly #replicated: Replicated
  readonly #records: Records<DocumentRecord>
  readonly #names: Records<{ readonly id: string }>

  constructor(options: DocumentServiceOptions) {
    this.#options = options
    this.#replicated = options.replicated
    this.#records = new Records(options.replicated.view, DocumentRecord)
    this.#names = new Records(options.replicated.view, DocumentNameRecord, 16_384)
  }

  async create(caller: Caller, kind: string, input: DocumentInput): Promise<Document> {
    const { id, name, body } = input
    check(kind, id)
    if (!nameShape.test(name) || !name.isWellFormed()) {
      throw new DocumentInvalid(`the name of a ${kind} has 1 to 255 characters, and no "/"`)
    }
    const atMs = this.#options.clock.nowMs()
    const record = recordOf(kind, { name, createdAtMs: atMs, updatedAtMs: atMs, body })
    await this.#demand(caller, 'create', kind, id)
    const created = await decideAndCommit(this.#replicated, (): Decision<Document> => {
      const isTaken =
        this.#names.get(documentNameKey(kind, name)) !== undefined ||
        this.#records.get(documentKey(kind, id)) !== undefined
      if (isTaken) return { refuse: async () => new DocumentExists(kind, name) }
      return {
        commit: {
          compare: [
            isStill(documentNameKey(kind, name), undefined),
            isStill(documentKey(kind, id), undefined),
          ],
          success: [...putDocument(kind, id, record), ...putDocumentName(kind, id, name)],
        },
        committed: (modRevision) => documentOf(kind, id, { record, modRevision }),
      }
    })
    this.#tell('created', created)
    return created
  }

  async update(
    caller: Caller,
    kind: string,
    id: string,
    body: unknown,
    expectedRevision?: number,
  ): Promise<Document> {
    check(kind, id)
    await this.#demand(caller, 'update', kind, id)
    const updated = await decideAndCommit(this.#replicated, (): Decision<Document> => {
      const known = this.#records.get(documentKey(kind, id))
      if (known === undefined) return { refuse: async () => new DocumentNotFound(kind, id) }
      if (expectedRevision !== undefined && known.modRevision !== expectedRevision) {
        return { refuse: async () => new DocumentChanged(kind, id) }
      }
      const { name, createdAtMs } = known.record
      const updatedAtMs = this.#options.clock.nowMs()
      const record = recordOf(kind, { name, createdAtMs, updatedAtMs, body })
      return {
        commit: {
          compare: [isStill(documentKey(kind, id), known)],
          success: putDocument(kind, id, record),
        },
        committed: (modRevision) => documentOf(kind, id, { record, modRevision }),
      }
    })
    this.#tell('updated', updated)
    return updated
  }

  async remove(caller: Caller, kind: string, id: string): Promise<void> {
    check(kind, id)
    await this.#demand(caller, 'delete', kind, id)
    const removed = await decideAndCommit(this.#replicated, (): Decision<Document> => {
      const known = this.#records.get(documentKey(kind, id))
      if (known === undefined) return { refuse: async () => new DocumentNotFound(kind, id) }
      const success: readonly Op[] = [
        { do: 'delete', key: documentKey(kind, id) },
        { do: 'delete', key: documentNameKey(kind, known.record.name) },
      ]
      return {
        commit: { compare: [isStill(documentKey(kind, id), known)], success },
        committed: (revision) => ({ ...documentOf(kind, id, known), revision }),
      }
    })
    this.#tell('removed', removed)
  }

  async get(caller: Caller, kind: string, id: string): Promise<Document | undefined> {
    await this.#look(caller)
    const known = this.#records.get(documentKey(kind, id))
    return known && documentOf(kind, id, known)
  }

  async byName(caller: Caller, kind: string, name: string): Promise<Document | undefined> {
    await this.#look(caller)
    const id = this.#names.get(documentNameKey(kind, name))?.record.id
    const known = id === undefined ? undefined : this.#records.get(documentKey(kind, id))
    return id === undefined || known === undefined ? undefined : documentOf(kind, id, known)
  }

  async list(caller: Caller, kind: string): Promise<readonly Document[]> {
    await this.#look(caller)
    const prefix = documentPrefix(kind)
    return this.#records
      .list(prefix)
      .map((stored) => documentOf(kind, stored.key.slice(prefix.length), stored))
  }

  async #look(caller: Caller): Promise<void> {
    this.#options.access.demand(caller, operatorResource, 'full')
    await this.#replicated.refresh()
  }

  async #demand(
    caller: Caller,
    action: 'create' | 'update' | 'delete',
    kind: string,
    id: string,
  ): Promise<void> {
    const { access } = this.#options
    const path = documentKey(kind, id)
    if (!access.may(caller, operatorResource, 'full')) {
      throw await access.denied(caller, action, operatorResource, 'full', path)
    }
    await access.audit(caller, action, path, 'allowed')
  }

  #tell(change: 'created' | 'updated' | 'removed', document: Document): void {
    const { kind, id, name, revision } = document
    this.#options.emit({ type: 'document.changed', kind, id, name, revision, change })
  }
}

/** @throws DocumentInvalid */
function check(kind: string, id: string): void {
  if (!kindShape.test(kind)) throw new DocumentInvalid('a kind is written as docker-config is')
  if (!idShape.test(id)) {
    throw new DocumentInvalid(`the id of a ${kind} has up to 128 letters, digits, ".", "_" and "-"`)
  }
}

/** @throws DocumentInvalid */
function recordOf(
  kind: string,
  record: Omit<DocumentRecord, 'body'> & { readonly body: unknown },
): DocumentRecord {
  const parsed = DocumentRecord.safeParse(record)
  if (!parsed.success) throw new DocumentInvalid(`the body of a ${kind} is JSON`)
  const sizeBytes = encodeRecord(parsed.data).length
  if (sizeBytes > bodyBytesMax) {
    throw new DocumentInvalid(`a ${kind} has ${sizeBytes} bytes; it may have ${bodyBytesMax}`)
  }
  return parsed.data
}
