import { createServer, Socket, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'

import { TcpPeerLink } from './peer-link.ts'
import { describePeerLink, type LinkParts, type Medium } from './testing/peer-link.contract.ts'

const host = '127.0.0.1'

/** A wire before each link, which every other one has to go through. */
class TcpMedium implements Medium {
  /** By node id: where the wire before it begins, and where it leads now. */
  readonly #wires = new Map<number, { readonly server: Server; port: number }>()
  readonly #sockets = new Set<Socket>()
  readonly #seen: Buffer[] = []
  #isHeld = false

  async start(parts: LinkParts) {
    const { queueBytesMax, ...rest } = parts
    const link = new TcpPeerLink({
      ...rest,
      listen: { host, port: 0 },
      limits: { retryFirstMs: 2, retryMaxMs: 20, pingMs: 20, silenceMs: 60_000, queueBytesMax },
    })
    const { port } = await link.start()
    const id = `master-${parts.nodeId}`
    return { link, address: { id, host, port: await this.#wireTo(parts.nodeId, port) } }
  }

  async seen(): Promise<Buffer> {
    return Buffer.concat(this.#seen)
  }

  hold(): void {
    this.#isHeld = true
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  async restart(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  async stop(): Promise<void> {
    for (const { server } of this.#wires.values()) server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #wireTo(nodeId: number, port: number): Promise<number> {
    const known = this.#wires.get(nodeId)
    if (known !== undefined) known.port = port
    const wire = known ?? { server: createServer(), port }
    if (known === undefined) {
      this.#wires.set(nodeId, wire)
      wire.server.on('connection', (near: Socket) => {
        const far = new Socket()
        far.connect(wire.port, host)
        this.#join(near, far)
        this.#join(far, near)
      })
      wire.server.listen(0, host)
      await once(wire.server, 'listening')
    }
    return (wire.server.address() as AddressInfo).port
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('error', () => from.destroy())
    from.on('close', () => to.destroy())
    from.on('data', (chunk: Buffer) => this.#seen.push(chunk))
    from.pipe(to)
    if (this.#isHeld) from.unpipe(to).pause()
  }
}

describePeerLink('TCP', async () => new TcpMedium())
