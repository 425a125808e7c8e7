/** One request of a simulated `curl`. */
export interface NetworkRequest {
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array
}

export type NetworkAnswer =
  | {
      readonly outcome: 'response'
      readonly status: number
      readonly reason: string
      readonly headers: readonly (readonly [name: string, value: string])[]
      readonly body: Uint8Array
    }
  | { readonly outcome: 'unresolved' | 'refused' | 'timed-out' }

/** The port: what simulated processes can reach. A machine without it resolves no name at all. */
export interface Network {
  /**
   * Starts a request and calls `answer` once, now or later. The function returned abandons the
   * request; it is harmless after the answer.
   */
  request(request: NetworkRequest, answer: (answer: NetworkAnswer) => void): () => void
}
