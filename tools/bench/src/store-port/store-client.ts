import { connect, type Socket } from 'node:net'
import { FrameReader, FrameWriter } from '@conclave/runtime'
import { decodeAnswer, encodeRequest, type StoreAnswer, type StoreRequest } from './store-frames.ts'

const frameBytesMax = 2 * 1024 * 1024

interface Asked {
  readonly resolve: (answer: StoreAnswer) => void
  readonly reject: (error: Error) => void
}

/** The member refused, because it does not lead or cannot say; or the connection ended. */
export class StoreRefused extends Error {}

type Wanted<Request> = Request extends StoreRequest ? Omit<Request, 'id'> : never

/** One connection to a store member, with as many requests under way as its user likes. */
export class StoreClient {
  readonly #socket: Socket
  readonly #writer: FrameWriter
  /** By id. Ids are used again: a map whose keys come and go would cost more than all the rest. */
  #asked: (Asked | undefined)[] = []
  readonly #freeIds: number[] = []

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#writer = new FrameWriter(this.#socket)
    const reader = new FrameReader(frameBytesMax)
    this.#socket.on('data', (chunk: Buffer) => {
      for (const frame of reader.push(chunk)) this.#settle(decodeAnswer(frame))
    })
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new StoreRefused('the connection ended')))
  }

  /** Resolves once a quorum has it on disk and it is applied. @throws StoreRefused */
  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#ask({ kind: 'put', key, value })
  }

  /** A linearizable read. Empty when there is no such key. @throws StoreRefused */
  async get(key: string): Promise<Uint8Array> {
    return (await this.#ask({ kind: 'get', key })).value
  }

  close(): void {
    this.#socket.destroy()
  }

  #ask(wanted: Wanted<StoreRequest>): Promise<StoreAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new StoreRefused('the connection ended'))
      const id = this.#freeIds.pop() ?? this.#asked.length
      this.#asked[id] = { resolve, reject }
      this.#writer.write(...encodeRequest({ ...wanted, id }))
    })
  }

  #settle(answer: StoreAnswer): void {
    const asked = this.#asked[answer.id]
    if (asked === undefined) return
    this.#asked[answer.id] = undefined
    this.#freeIds.push(answer.id)
    if (answer.isDone) asked.resolve(answer)
    else asked.reject(new StoreRefused('the member refused'))
  }

  #fail(error: Error): void {
    const all = this.#asked
    this.#asked = []
    this.#freeIds.length = 0
    for (const asked of all) asked?.reject(error)
  }
}
