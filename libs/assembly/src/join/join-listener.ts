import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import type { EnrolmentApi } from '@conclave/actors'
import { tlsOptions, type Log, type TlsIdentity } from '@conclave/runtime'
import { FaceListener, wordedByFaces, type FaceListenerOptions } from '../master/face-listener.ts'
import { ConnectionsBySource } from './connections-by-source.ts'
import { joinRoutes, joinServerOptions } from './join-routes.ts'

export interface JoinListenerOptions {
  readonly clusterId: string
  readonly identity: TlsIdentity
  readonly enrolment: EnrolmentApi
  readonly host: string
  readonly port: number
  readonly log: Log
  readonly onAnswered: FaceListenerOptions['onAnswered']
}

/** Members come rarely, and strangers must not use up all that a process may open. */
const connectionsMax = 256
/** Of one source: behind one address many may join, though not all at once. */
const ofOneSourceMax = connectionsMax / 4

/**
 * Where one joins: TLS 1.3 under this master's certificate. Who has a certificate already shows it;
 * who has none, or one that does not count, may still ask for the first.
 */
export class JoinListener {
  readonly port: number
  readonly #face: FaceListener
  readonly #server: Server
  #identity: TlsIdentity

  private constructor(face: FaceListener, server: Server, identity: TlsIdentity) {
    this.#face = face
    this.#server = server
    this.#identity = identity
    this.port = face.port
  }

  /** @throws FaceListenFailed */
  static async start(o: JoinListenerOptions): Promise<JoinListener> {
    const started: { listener?: JoinListener } = {}
    const server = createServer(askingOptions(o.identity))
    const bySource = new ConnectionsBySource(ofOneSourceMax)
    server.on('connection', (socket: Socket) => bySource.admit(socket))
    // A handshake that ends is answered by OpenSSL; there is nobody to tell.
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    const face = await FaceListener.start({
      face: 'join',
      plugin: joinRoutes({
        enrolment: o.enrolment,
        clusterId: o.clusterId,
        authorityPem: () => (started.listener?.identity ?? o.identity).authorityPem,
      }),
      server: {
        ...joinServerOptions,
        serverFactory: (handler) => server.on('request', handler),
      },
      host: o.host,
      port: o.port,
      requestSeconds: 15,
      connectionsMax,
      // A certificate is looked at when a connection begins. Who was removed since then must not go on with it.
      requestsPerConnectionMax: 1,
      log: o.log,
      onAnswered: o.onAnswered,
    })
    started.listener = new JoinListener(face, server, o.identity)
    return started.listener
  }

  get identity(): TlsIdentity {
    return this.#identity
  }

  /** New connections are met with it; the old ones go on. */
  setIdentity(identity: TlsIdentity): void {
    this.#identity = identity
    this.#server.setSecureContext(askingOptions(identity))
  }

  close(): Promise<void> {
    return this.#face.close()
  }

  destroy(): Promise<void> {
    return this.#face.destroy()
  }
}

const askingOptions = (identity: TlsIdentity) => ({
  ...tlsOptions(identity),
  rejectUnauthorized: false,
  ...wordedByFaces,
})
