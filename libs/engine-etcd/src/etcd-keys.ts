import { hasBytesAt, utf8, utf8Text } from '@conclave/kernel'
import { prefixRange } from './client/key-range.ts'
import type { EtcdRange } from './wire/messages.ts'

/**
 * Where our keys stand in etcd: `<prefix>/k/<key>` for what the store holds, `<prefix>/s/<client>` for the
 * sessions. Both are the UTF-8 bytes of the text, so etcd's order is ours.
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
