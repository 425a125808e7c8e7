import { constants } from 'node:crypto'
import { connect, createServer, type PeerCertificate, type Server, type TLSSocket } from 'node:tls'
import type { Socket } from 'node:net'

import type { Address } from '@conclave/actors'
import { ConclaveError } from '@conclave/kernel'

import type { TlsIdentity } from './authority/identity.ts'
import { whyNot, type Role } from './authority/subject.ts'

/*
 * What all links inside a cluster have in common: TLS 1.3, a certificate of the cluster's authority
 * on both sides, and the subject checked against who was expected. Host names are not: an address
 * says where somebody is, a certificate says who.
 */

/** A link cannot listen where it was told to. */
export class LinkListenFailed extends ConclaveError {
  readonly code = 'link.listen-failed'

  constructor(host: string, port: number, cause: unknown) {
    const why = (cause as { code?: unknown }).code
    super(`cannot listen on ${host}:${port} (${String(why)}): free the port or choose another`, {
      cause,
    })
  }
}

/** Who was found at the other end of a link is not who should be there. */
export class LinkRefused extends ConclaveError {
  readonly code = 'link.refused'
}

const handshakeMs = 5000
/** Of one listener: strangers, who get no further than the handshake, must not use up all that a process may open. */
const connectionsMax = 4096

export const tlsOptions = (identity: TlsIdentity) => ({
  ca: identity.authorityPem,
  cert: identity.certificatePem,
  key: Buffer.from(identity.privateKey.reveal()),
  minVersion: 'TLSv1.3' as const,
  requestCert: true,
  rejectUnauthorized: true,
  handshakeTimeout: handshakeMs,
  // A resumed session would carry on with a certificate that has expired since.
  secureOptions: constants.SSL_OP_NO_TICKET,
})

/** Connects, and refuses whoever does not have a certificate for `expected`. */
export function dial(
  address: Address,
  identity: TlsIdentity,
  expected: { readonly role: Role; readonly clusterId: string; readonly id?: string },
): TLSSocket {
  const socket = connect({
    ...tlsOptions(identity),
    host: address.host,
    port: address.port,
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
      const why = whyNot(certificate, expected)
      return why === undefined ? undefined : new LinkRefused(why)
    },
  })
  socket.setNoDelay(true)
  return socket
}

/** A listening TLS server that knows every socket it has, also those still shaking hands. */
export class LinkListener {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #refusals = 0

  constructor(options: {
    readonly identity: TlsIdentity
    readonly expected: { readonly role: Role; readonly clusterId: string }
    readonly onSocket: (socket: TLSSocket) => void
    readonly onRefused: (why: string) => void
    readonly connectionsMax?: number
  }) {
    const refuse = (why: string): void => {
      this.#refusals++
      options.onRefused(why)
    }
    this.#server = createServer(tlsOptions(options.identity))
    this.#server.maxConnections = options.connectionsMax ?? connectionsMax
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => socket.destroy())
    })
    this.#server.on('tlsClientError', (error, socket) => {
      refuse((error as { code?: string }).code ?? error.name)
      socket.destroy()
    })
    this.#server.on('secureConnection', (socket) => {
      socket.on('error', () => socket.destroy())
      const why = whyNot(socket.getPeerCertificate(), options.expected)
      if (why === undefined) {
        socket.setNoDelay(true)
        options.onSocket(socket)
      } else {
        refuse(why)
        socket.destroy()
      }
    })
  }

  /** How many were turned away, at TLS or by their certificate. */
  get refusals(): number {
    return this.#refusals
  }

  listen({ host, port }: Address): Promise<{ port: number }> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => reject(new LinkListenFailed(host, port, cause))
      this.#server.once('error', fail)
      this.#server.listen(port, host, () => {
        this.#server.off('error', fail)
        const address = this.#server.address()
        resolve({ port: typeof address === 'object' && address !== null ? address.port : port })
      })
    })
  }

  /** New connections are met with the new certificate; the old ones go on. */
  renew(identity: TlsIdentity): void {
    this.#server.setSecureContext(tlsOptions(identity))
  }

  /** Takes no more connections. Resolves when the last one has ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  /** Cuts every connection. */
  destroy(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
