import type { Caller } from '../master-api.ts'

/** An object that one face keeps for its clients, and that no other part of the cluster reads. */
export interface Document {
  /** What it is, in the face's own words: `docker-config`. */
  readonly kind: string
  readonly id: string
  /** No two documents of a kind have the same; a face that compares names folded gives it folded. */
  readonly name: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** Of the store, when it was last written: each write of anything has a higher one. */
  readonly revision: number
  /** JSON, never with a secret's value. */
  readonly body: unknown
}

export interface DocumentInput {
  readonly id: string
  readonly name: string
  readonly body: unknown
}

/**
 * What a face keeps beside the state that all faces share: the spec of a swarm, configs, networks.
 * For operators, on any master.
 *
 * @throws AccessDenied, Unavailable, OutcomeUnknown
 */
export interface DocumentApi {
  /** @throws DocumentExists, DocumentInvalid */
  create(caller: Caller, kind: string, input: DocumentInput): Promise<Document>
  /**
   * Replaces the body; the name stays.
   * @throws DocumentNotFound, DocumentChanged when it is not of `expectedRevision` any more, DocumentInvalid
   */
  update(
    caller: Caller,
    kind: string,
    id: string,
    body: unknown,
    expectedRevision?: number,
  ): Promise<Document>
  /** @throws DocumentNotFound */
  remove(caller: Caller, kind: string, id: string): Promise<void>
  get(caller: Caller, kind: string, id: string): Promise<Document | undefined>
  byName(caller: Caller, kind: string, name: string): Promise<Document | undefined>
  /** By id. */
  list(caller: Caller, kind: string): Promise<readonly Document[]>
}
