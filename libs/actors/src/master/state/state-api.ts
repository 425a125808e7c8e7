import type { Caller } from '../master-api.ts'

/*
 * The whole state on its way out, as lines of JSON: a head, a line for each record in key order, and an
 * end. Whoever does not get the end has not got the state.
 */

export type StateLine =
  | {
      readonly kind: 'head'
      readonly clusterId: string
      readonly revision: number
      readonly takenAtMs: number
      /** A key for this one answer, boxed to the caller's key, in base64 … */
      readonly transportKey: string
      /** … and the keyring wrapped under it. */
      readonly keyring: string
    }
  | {
      readonly kind: 'record'
      readonly key: string
      readonly createRevision: number
      readonly modRevision: number
      readonly version: number
      /** Base64. What is secret in it is sealed. */
      readonly value: string
    }
  | { readonly kind: 'end'; readonly recordCount: number; readonly digest: string }

/** The context of the box that carries the key. */
export const stateBoxContext = (clusterId: string): string =>
  JSON.stringify(['conclave/state/v1', clusterId])

export interface StateApi {
  /**
   * One linearizable revision of all keys but those under leases. For operators only, since the keyring
   * comes along: who has it and the records can read every secret.
   *
   * @param publicKey X25519, of a key pair that the caller drew for this call
   * @param at a revision that is still kept, to go on with one that was begun
   * @throws AccessDenied, Compacted, RevisionAhead, StateKeyInvalid
   */
  export(caller: Caller, publicKey: Uint8Array, at?: number): AsyncIterable<StateLine>
}
