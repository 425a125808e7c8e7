import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { TLSSocket } from 'node:tls'
import type { MasterApi } from '@conclave/actors'
import {
  dockerFace,
  dockerServerOptions,
  partsOf,
  type Engine,
  type SwarmNode,
} from '@conclave/faces-docker'
import { ConclaveError } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import type { Principal } from '@conclave/model'
import type { FastifyPluginAsync } from 'fastify'
import { MemberFileUnusable, readPrivately } from '../cluster/member-files.ts'
import { FaceExposed, FaceListener, isLoopback, type FaceListenerOptions } from './face-listener.ts'

/** A port where the docker CLI finds a master or an engine. */
export interface DockerPort {
  readonly host: string
  readonly port: number
  /** With it, whoever calls shows a certificate of this authority, and acts as whom that names. */
  readonly tls?: DockerTls | undefined
  /** Lets it listen beyond this machine without TLS. */
  readonly isExposed?: boolean | undefined
}

/** Files in PEM, named as dockerd's flags are: `--tlscacert`, `--tlscert`, `--tlskey`. */
export interface DockerTls {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** Everywhere that the docker CLI finds one machine, and whose rights one has there without a certificate. */
export interface DockerDoors {
  readonly uid: string
  readonly path?: string | undefined
  readonly ports?: readonly DockerPort[] | undefined
  /** Which names stand for simulated images there. Default: any. */
  readonly simulatedImages?: SimulatedImagesMode | undefined
}

/** A place for the docker CLI that is none. Says what would be one. */
export class DockerHostInvalid extends ConclaveError {
  readonly code = 'docker.host-invalid'

  constructor(text: string) {
    super(`${JSON.stringify(text)} is no place to listen: unix:///path, or tcp://host:port`)
  }
}

/** TLS for the docker CLI takes three files, and some of them were named. */
export class DockerTlsIncomplete extends ConclaveError {
  readonly code = 'docker.tls-incomplete'

  constructor() {
    super(
      'TLS for the docker CLI takes all three: its authority, a certificate and the key of that',
    )
  }
}

export type DockerHost =
  | { readonly path: string }
  | { readonly host: string; readonly port: number }

/** As dockerd and the docker CLI write it behind `-H`. @throws DockerHostInvalid */
export function parseDockerHost(text: string): DockerHost {
  if (text.startsWith('unix:///')) return { path: text.slice('unix://'.length) }
  const found = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text)
  const port = Number(found?.[3])
  if (found === null || port > 65_535) throw new DockerHostInvalid(text)
  return { host: found[1] ?? found[2] ?? '', port }
}

export interface DockerListening {
  readonly doors: DockerDoors
  readonly master: MasterApi
  readonly node?: SwarmNode | undefined
  /** What `docker info` calls this machine; its own name unless given. */
  readonly hostname?: string | undefined
  readonly secretDrivers?: Engine['secretDrivers']
  readonly log: Log
  readonly slices?: FaceListenerOptions['slices']
  readonly onAnswered?: FaceListenerOptions['onAnswered']
}

/** The docker face at all its doors. @throws FaceListenFailed, FaceExposed, MemberFileUnusable */
export async function listenForDocker(o: DockerListening): Promise<readonly FaceListener[]> {
  const { path, ports = [] } = o.doors
  const started: FaceListener[] = []
  try {
    if (path !== undefined) started.push(await listenAt(o, { path, host: '', port: 0 }))
    for (const { host, port, tls, isExposed } of ports) {
      if (tls === undefined && isExposed !== true && !isLoopback(host)) throw new FaceExposed(host)
      if (tls === undefined && !isLoopback(host)) {
        o.log.warn({ host, port }, 'the docker face listens beyond this machine, in plain HTTP')
      }
      const files = tls && (await readTls(tls))
      started.push(await listenAt(o, { host, port, ...(files && { tls: files }) }))
    }
    return started
  } catch (error) {
    await Promise.all(started.map((listener) => listener.destroy()))
    throw error
  }
}

function listenAt(
  o: DockerListening,
  at: Pick<FaceListenerOptions, 'host' | 'port' | 'path' | 'tls'>,
): Promise<FaceListener> {
  const { doors, master, node, log, slices, onAnswered = () => undefined } = o
  const engine: Engine = {
    master,
    principal: { uid: doors.uid },
    hostname: o.hostname ?? hostname(),
    simulatedImages: doors.simulatedImages,
    ...(node && { node }),
    secretDrivers: o.secretDrivers,
    ...(at.tls && { principalOf: ({ raw }) => whoShows(raw.socket as TLSSocket) }),
  }
  return FaceListener.start({
    face: 'docker',
    plugin:
      at.path === undefined ? withoutBrowsers(dockerFace(engine), at.host) : dockerFace(engine),
    server: dockerServerOptions,
    requestSeconds: 0,
    ...at,
    log,
    ...(slices && { slices }),
    onAnswered,
  })
}

/** What clients of Docker's send that have no name to send: the CLI, by its versions. */
const hostsOfClients = ['', 'docker', 'localhost', 'api.moby.localhost']

/**
 * A page in a browser of this machine can call at its ports, too: it says where it comes from, or calls by a name
 * of its own that it has let point here. No client of Docker's does either. Source: threats.md NT-04.
 */
const withoutBrowsers =
  (face: FastifyPluginAsync, host: string): FastifyPluginAsync =>
  async (app) => {
    app.addHook('onRequest', async ({ headers }, reply) => {
      const { host: called = '', origin } = headers
      const { host: name } = partsOf(called)
      const isByName = isIP(name) === 0 && name !== host && !hostsOfClients.includes(name)
      if (origin === undefined && !isByName) return undefined
      const message =
        'this is for clients of the Engine API: not for pages, nor by a name of others'
      return reply
        .code(403)
        .header('content-type', 'application/json')
        .send(Buffer.from(`${JSON.stringify({ message })}\n`))
    })
    await app.register(face)
  }

/** Whom the certificate names that TLS has checked: its CN. Nobody is known by another certificate. */
function whoShows(socket: TLSSocket): Principal {
  const { CN: name } = socket.getPeerCertificate().subject ?? {}
  return { uid: typeof name === 'string' ? name : '' }
}

async function readTls({
  caFile,
  certFile,
  keyFile,
}: DockerTls): Promise<FaceListenerOptions['tls']> {
  const [ca, cert, key] = await Promise.all([read(caFile), read(certFile), readPrivately(keyFile)])
  return { ca, cert, key }
}

const read = (file: string): Promise<Buffer> =>
  readFile(file).catch((cause: { code?: string }) => {
    throw new MemberFileUnusable(file, `it cannot be read (${cause.code})`, cause)
  })
