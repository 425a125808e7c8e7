import type { Clock } from '@conclave/kernel'
import type { Document, DocumentApi, DocumentInput } from '../master/documents/document-api.ts'
import { DocumentChanged, DocumentExists, DocumentNotFound } from '../master/documents/errors.ts'
import type { Caller } from '../master/master-api.ts'

/** Documents in memory, for whoever the door lets in. */
export class FakeDocuments implements DocumentApi {
  readonly #documents = new Map<string, Document>()
  readonly #clock: Clock
  readonly #enter: (caller: Caller) => void
  #revision = 100

  constructor(clock: Clock, enter: (caller: Caller) => void) {
    this.#clock = clock
    this.#enter = enter
  }

  async create(caller: Caller, kind: string, input: DocumentInput): Promise<Document> {
    this.#enter(caller)
    const isTaken = this.#of(kind).some(({ id, name }) => id === input.id || name === input.name)
    if (isTaken) throw new DocumentExists(kind, input.name)
    const atMs = this.#clock.nowMs()
    return this.#keep({ kind, ...input, createdAtMs: atMs, updatedAtMs: atMs, revision: 0 })
  }

  async update(
    caller: Caller,
    kind: string,
    id: string,
    body: unknown,
    expectedRevision?: number,
  ): Promise<Document> {
    this.#enter(caller)
    const known = this.#documents.get(`${kind}/${id}`)
    if (known === undefined) throw new DocumentNotFound(kind, id)
    if (expectedRevision !== undefined && expectedRevision !== known.revision) {
      throw new DocumentChanged(kind, id)
    }
    return this.#keep({ ...known, body, updatedAtMs: this.#clock.nowMs() })
  }

  async remove(caller: Caller, kind: string, id: string): Promise<void> {
    this.#enter(caller)
    if (!this.#documents.delete(`${kind}/${id}`)) throw new DocumentNotFound(kind, id)
  }

  async get(caller: Caller, kind: string, id: string): Promise<Document | undefined> {
    this.#enter(caller)
    return this.#documents.get(`${kind}/${id}`)
  }

  async byName(caller: Caller, kind: string, name: string): Promise<Document | undefined> {
    this.#enter(caller)
    return this.#of(kind).find((one) => one.name === name)
  }

  async list(caller: Caller, kind: string): Promise<readonly Document[]> {
    this.#enter(caller)
    return this.#of(kind)
  }

  #of(kind: string): readonly Document[] {
    return [...this.#documents.values()].filter((one) => one.kind === kind)
  }

  #keep(document: Document): Document {
    const kept = { ...document, revision: ++this.#revision }
    this.#documents.set(`${kept.kind}/${kept.id}`, kept)
    return kept
  }
}
