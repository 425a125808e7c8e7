import { GrpcConnection } from './grpc-connection.ts'
import { bytesOf, decodeFields, encodeFields } from './protobuf.ts'

/** etcd's KV service as its own clients call it, over a few connections that take turns. */
export class EtcdClient {
  readonly #connections: readonly GrpcConnection[]
  #next = 0

  constructor(host: string, port: number, connectionCount = 2) {
    this.#connections = Array.from(
      { length: connectionCount },
      () => new GrpcConnection(host, port),
    )
  }

  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.#call('Put', encodeFields([[1, key], [2, value]])) // prettier-ignore
  }

  /** A linearizable read: etcd's default. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const answer = decodeFields(await this.#call('Range', encodeFields([[1, key]])))
    const first = bytesOf(answer, 2)
    return first === undefined ? undefined : bytesOf(decodeFields(first), 5)
  }

  close(): void {
    for (const connection of this.#connections) connection.close()
  }

  #call(method: string, message: Uint8Array): Promise<Uint8Array> {
    const connection = this.#connections[this.#next++ % this.#connections.length]
    if (connection === undefined) throw new Error('a client has connections')
    return connection.call(`/etcdserverpb.KV/${method}`, message)
  }
}
