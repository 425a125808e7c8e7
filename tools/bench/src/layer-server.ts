import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createSocketServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditSink, MasterApi } from '@conclave/actors'
import { FakeMaster } from '@conclave/actors/testing'
import { dcosFace, dcosServerOptions } from '@conclave/faces-dcos'
import { openAuditLog } from '@conclave/runtime'
import Fastify, { type FastifyInstance } from 'fastify'
import { masterAlone } from './layer-master.ts'

/*
 * What a write costs, layer by layer: servers that take a body and answer 201, with ever more between the
 * socket and the answer.
 */

interface Layer {
  readonly server: Server
  readonly authorization?: string
}

const answered = 'HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n'

async function fastify(): Promise<Layer> {
  const app = Fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.put('/*', async (_request, reply) => reply.code(201).send())
  await app.ready()
  return { server: app.server }
}

async function faceBefore(master: MasterApi, authorization: string): Promise<Layer> {
  const app: FastifyInstance = Fastify(dcosServerOptions)
  await app.register(dcosFace(master))
  await app.ready()
  return { server: app.server, authorization }
}

async function service(audit: AuditSink): Promise<Layer> {
  const { master, authorization } = await masterAlone(audit)
  return faceBefore(master, authorization)
}

async function audited(): Promise<Layer> {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-bench-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  process.on('SIGTERM', () => process.exit())
  return service(await openAuditLog(join(directory, 'audit.log')))
}

const layers: Readonly<Record<string, () => Layer | Promise<Layer>>> = {
  /** Takes each piece that comes for a request. */
  sockets: () => ({
    server: createSocketServer({ noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', () => socket.write(answered))
    }),
  }),
  http: () => ({
    server: createHttpServer((request, response) => {
      request.resume()
      request.on('end', () => response.writeHead(201, { 'content-length': 0 }).end())
    }),
  }),
  fastify,
  face: () => {
    const master = new FakeMaster()
    return faceBefore(master, master.identity.headerOf('admin').authorization)
  },
  service: () => service({ append: () => Promise.resolve() }),
  audited,
}

const layer = await layers[process.argv[2] ?? '']?.()
if (layer === undefined) throw new Error(`one of ${Object.keys(layers).join(', ')}`)
const { server, authorization } = layer
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(
    `${JSON.stringify({ url: `http://127.0.0.1:${port}`, ...(authorization && { authorization }) })}\n`,
  )
})
