import type { AgentApi } from '@conclave/actors'
import { letIn } from '@conclave/runtime'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { admitOperator } from './admission.ts'
import { plain, send, sendJson } from './answers.ts'
import type { AgentFaceOptions } from './face.ts'
import { bytesOf, filesIn } from './files.ts'
import { legacyState } from './legacy-state.ts'

/** The endpoints before v1: for operators, by GET. Source: mesos.md §9. */
export function legacyRoutes(
  app: FastifyInstance,
  prefix: string,
  api: AgentApi,
  options: AgentFaceOptions,
): void {
  const guard =
    (call: string) =>
    async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const caller = await admitOperator(api, call, request, reply)
      if (caller === undefined) return reply
      if (caller.kind !== 'person' || !caller.isOperator) return send(reply, plain(403))
      letIn(request)
      return undefined
    }
  const forFiles = { onRequest: guard('READ_FILE') }
  app.get(`${prefix}/health`, async (_request, reply) => reply.send())
  app.get(`${prefix}/state`, { onRequest: guard('GET_STATE') }, async (_request, reply) =>
    sendJson(reply, legacyState(api, options)),
  )
  app.get(`${prefix}/flags`, { onRequest: guard('GET_FLAGS') }, async (_request, reply) =>
    sendJson(reply, { flags: options.flags }),
  )
  app.get(`${prefix}/files/browse`, forFiles, async (request, reply) => {
    const path = textIn(request, 'path')
    if (path === undefined) return send(reply, plain(400, "Expecting 'path=value' in query.\n"))
    const files = await filesIn(api, options, path)
    if (files === undefined) return send(reply, plain(404))
    const fixed = { gid: 'root', nlink: 1, uid: 'root' }
    return sendJson(
      reply,
      files.map(({ path: at, size, isDirectory }) => {
        return { ...fixed, mode: isDirectory ? 'drwxr-xr-x' : '-rw-r--r--', path: at, size }
      }),
    )
  })
  app.get(`${prefix}/files/read`, forFiles, async (request, reply) =>
    read(api, options, request, reply),
  )
  app.get(`${prefix}/files/download`, forFiles, async (request, reply) => {
    const path = textIn(request, 'path')
    if (path === undefined) return send(reply, plain(400, "Expecting 'path=value' in query.\n"))
    const bytes = await bytesOf(api, options, path)
    if (bytes === undefined) return send(reply, plain(404))
    return reply.header('content-type', 'application/octet-stream').send(bytes)
  })
}

const readBytesMax = 1_048_576

/** An offset of -1 asks how long the file is. */
async function read(
  api: AgentApi,
  options: AgentFaceOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const path = textIn(request, 'path')
  if (path === undefined) return send(reply, plain(400, "Expecting 'path=value' in query.\n"))
  const [offset, length] = [numberIn(request, 'offset', -1), numberIn(request, 'length', -1)]
  if (offset === undefined || length === undefined) {
    return send(reply, plain(400, 'Failed to parse offset or length.\n'))
  }
  const bytes = await bytesOf(api, options, path)
  if (bytes === undefined) return send(reply, plain(404))
  if (offset < 0) return sendJson(reply, { data: '', offset: bytes.length })
  const end = offset + Math.min(length < 0 ? readBytesMax : length, readBytesMax)
  return sendJson(reply, { data: bytes.subarray(offset, end).toString('latin1'), offset })
}

function textIn({ query }: FastifyRequest, name: string): string | undefined {
  const value = (query as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function numberIn(request: FastifyRequest, name: string, unset: number): number | undefined {
  const text = textIn(request, name)
  if (text === undefined) return unset
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
}
