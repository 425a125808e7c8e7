import { hasBytesAt, sameBytes, utf8, utf8Text } from '@conclave/kernel'
import { prefixRange } from './client/key-range.ts'
import type { EtcdRange } from './wire/messages.ts'

/** What masters keep beside the store: who they are, and what they agree on without it. */
const masterPlaces = ['election', 'master'] as const

/**
 * Where our keys stand in etcd: `<prefix>/k/<key>` for what the store holds, `<prefix>/s/<client>` for the
 * sessions, and a few that masters have (README.md). All are the UTF-8 bytes of the text, so etcd's order is ours.
 */
export class EtcdKeys {
  readonly #data: Uint8Array
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
    this.#data = utf8(`${prefix}/k/`)
  }

  of(key: string): Uint8Array {
    return utf8(`${this.#prefix}/k/${key}`)
  }

  session(client: string): Uint8Array {
    return utf8(`${this.#prefix}/s/${client}`)
  }

  /** A key that nobody ever writes. */
  get nothing(): Uint8Array {
    return utf8(`${this.#prefix}/nothing`)
  }

  /** Put by each transaction of a master: whoever has seen its newest revision has seen all. */
  get head(): Uint8Array {
    return utf8(`${this.#prefix}/head`)
  }

  /** What terms are counted on from. */
  get since(): Uint8Array {
    return utf8(`${this.#prefix}/since`)
  }

  /** Up to which revision a master has had etcd compacted. */
  get compacted(): Uint8Array {
    return utf8(`${this.#prefix}/compacted`)
  }

  /** Below it each candidate has a key, under a lease of its own. */
  get election(): Uint8Array {
    return utf8(`${this.#prefix}/election/`)
  }

  master(nodeId: number): Uint8Array {
    return utf8(`${this.#prefix}/master/${nodeId}`)
  }

  /** What a key is, that is neither of the store nor a session's. */
  kindOf(bytes: Uint8Array): 'head' | 'since' | 'compacted' | 'election' | 'master' | undefined {
    for (const name of ['head', 'since', 'compacted'] as const) {
      if (sameBytes(bytes, this[name])) return name
    }
    return masterPlaces.find((place) => {
      const start = utf8(`${this.#prefix}/${place}/`)
      return bytes.length > start.length && hasBytesAt(bytes, 0, start)
    })
  }

  /** Keys and sessions. */
  get everything(): EtcdRange {
    return prefixRange(utf8(`${this.#prefix}/`))
  }

  isData(bytes: Uint8Array): boolean {
    return bytes.length >= this.#data.length && hasBytesAt(bytes, 0, this.#data)
  }

  /** @throws BytesMalformed when somebody else wrote a key below our prefix that is no UTF-8 */
  nameOf(bytes: Uint8Array): string {
    return utf8Text(bytes.subarray(this.#data.length))
  }
}
