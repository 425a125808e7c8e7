import type { AgentApi, PlainAnswer } from '@conclave/actors'
import { containerName, loggingProblem, rootOf } from '@conclave/actors'
import { wipe } from '@conclave/kernel'
import {
  AgentCall,
  agentCallProblem,
  AgentResponse,
  ContainerInfo,
  partsIn,
  Secret,
  type AgentCallType,
  type ContainerId,
} from '@conclave/model'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from './admission.ts'
import { plain, send } from './answers.ts'
import { attachInput } from './attach-input.ts'
import { answerMedia, bodyMedia, callReading, readCall, streamingHeadersRefusal } from './checks.ts'
import { attachOutput, kill, launch, launchSession, remove, wait } from './containers.ts'
import type { AgentFaceOptions } from './face.ts'
import { listFiles, readFile } from './files.ts'
import { shown as showing } from './json.ts'
import { writer } from './media.ts'
import { answerRead } from './reads.ts'

/** What an executor may do with its own container and those below it. Source: mesos.md §18. */
const forExecutors: ReadonlySet<AgentCallType> = new Set<AgentCallType>([
  'LAUNCH_NESTED_CONTAINER',
  'WAIT_NESTED_CONTAINER',
  'KILL_NESTED_CONTAINER',
  'REMOVE_NESTED_CONTAINER',
  'LAUNCH_CONTAINER',
  'WAIT_CONTAINER',
  'KILL_CONTAINER',
  'REMOVE_CONTAINER',
  'LAUNCH_NESTED_CONTAINER_SESSION',
  'ATTACH_CONTAINER_INPUT',
  'ATTACH_CONTAINER_OUTPUT',
])

const forEverybody: ReadonlySet<AgentCallType> = new Set<AgentCallType>([
  'GET_HEALTH',
  'GET_VERSION',
])

const streamed: ReadonlySet<AgentCallType> = new Set<AgentCallType>([
  'LAUNCH_NESTED_CONTAINER_SESSION',
  'ATTACH_CONTAINER_OUTPUT',
])

/** `POST /api/v1`, once it is known who calls. The checks are in Mesos' order (mesos.md §4, §7). */
export async function answerOperator(
  api: AgentApi,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
  options: AgentFaceOptions,
): Promise<FastifyReply> {
  const may = (type: AgentCallType, id: ContainerId | undefined): Promise<boolean> =>
    mayCall(api, caller, request, type, id)
  if (request.body instanceof Readable) {
    const media = bodyMedia(headerOf(request, 'message-content-type'))
    const mayAttach = (id: ContainerId) => may('ATTACH_CONTAINER_INPUT', id)
    return attachInput(api, request.body, media, reply, mayAttach)
  }
  const read = readCall(request.body, bodyMedia(request.headers['content-type']), callReading)
  if ('refusal' in read) return send(reply, read.refusal)
  try {
    return await answer(api, read.call, request, reply, options, may)
  } finally {
    for (const { value } of partsIn(AgentCall, read.call, Secret)) {
      if (value?.data !== undefined) wipe(value.data)
    }
  }
}

async function answer(
  api: AgentApi,
  call: AgentCall,
  request: FastifyRequest,
  reply: FastifyReply,
  options: AgentFaceOptions,
  may: (type: AgentCallType, id: ContainerId | undefined) => Promise<boolean>,
): Promise<FastifyReply> {
  const { headers } = request
  const problem = agentCallProblem(call)
  if (problem !== undefined) {
    return send(reply, plain(400, `Failed to validate agent::Call: ${problem}`))
  }
  const type = call.type ?? 'UNKNOWN'
  const refusal = streamingHeadersRefusal(headers)
  if (refusal !== undefined) return send(reply, refusal)
  if (type === 'UNKNOWN') return send(reply, plain(501))
  const container = containerIn(call)
  if (!(await may(type, container))) return send(reply, plain(403))
  warnOfUnions(api, call, request, options)
  const media = answerMedia(headers, type, streamed.has(type))
  if ('status' in media) return send(reply, media)
  if (streamed.has(type)) {
    const refused =
      type === 'ATTACH_CONTAINER_OUTPUT'
        ? attachOutput(api, call, reply, media)
        : launchSession(api, call, reply, media)
    return refused === undefined ? reply : send(reply, refused)
  }
  const answered = await perform(api, call, type, options)
  if ('status' in answered) return send(reply, answered)
  const bytes = writer(api, options)(media.message, AgentResponse, 'agent.Response', answered)
  // As bytes: a text would be given a charset, which Mesos does not send.
  return reply.code(200).headers(media.headers).send(Buffer.from(bytes))
}

function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** As Mesos, which logs such a container whole, whatever stands in it (mesos.md §21). */
function warnOfUnions(
  api: AgentApi,
  call: AgentCall,
  { log }: FastifyRequest,
  options: AgentFaceOptions,
): void {
  for (const container of partsIn(AgentCall, call, ContainerInfo)) {
    const { type, docker, mesos } = container
    if ((type === 'MESOS' ? docker : mesos) === undefined) continue
    const text = JSON.stringify(showing(api, options)(ContainerInfo, container))
    log.warn(`Invalid protobuf union detected in the given ContainerInfo (${text})`)
  }
}

async function perform(
  api: AgentApi,
  call: AgentCall,
  type: AgentCallType,
  options: AgentFaceOptions,
): Promise<PlainAnswer | AgentResponse> {
  switch (type) {
    case 'LAUNCH_NESTED_CONTAINER':
      return launch(api, call.launch_nested_container)
    case 'LAUNCH_CONTAINER':
      return launch(api, call.launch_container)
    case 'WAIT_NESTED_CONTAINER':
      return wait(api, type, call.wait_nested_container)
    case 'WAIT_CONTAINER':
      return wait(api, type, call.wait_container)
    case 'KILL_NESTED_CONTAINER':
      return kill(api, call.kill_nested_container)
    case 'KILL_CONTAINER':
      return kill(api, call.kill_container)
    case 'REMOVE_NESTED_CONTAINER':
      return remove(api, call.remove_nested_container)
    case 'REMOVE_CONTAINER':
      return remove(api, call.remove_container)
    case 'LIST_FILES':
      return listFiles(api, options, call.list_files?.path ?? '')
    case 'READ_FILE':
      return readFile(api, options, call.read_file?.path ?? '', {
        offset: call.read_file?.offset ?? 0,
        length: call.read_file?.length,
      })
    case 'SET_LOGGING_LEVEL':
      return setLoggingLevel(call, options)
    case 'ATTACH_CONTAINER_INPUT':
      return plain(415, `Expecting 'Content-Type' to be application/recordio for ${type} call`)
    default:
      return answerRead(api, type, options)
  }
}

function setLoggingLevel(
  { set_logging_level: wanted }: AgentCall,
  { logging }: AgentFaceOptions,
): PlainAnswer {
  if (wanted === undefined || logging === undefined) return plain(501)
  const problem = loggingProblem(wanted)
  if (problem !== undefined) return plain(400, problem)
  logging.set(wanted.level, wanted.duration.nanoseconds / 1e6)
  return plain(200, '')
}

function containerIn(call: AgentCall): ContainerId | undefined {
  const part =
    call.launch_nested_container ??
    call.wait_nested_container ??
    call.kill_nested_container ??
    call.remove_nested_container ??
    call.launch_nested_container_session ??
    call.attach_container_output ??
    call.launch_container ??
    call.wait_container ??
    call.kill_container ??
    call.remove_container
  return part?.container_id
}

/** An operator, asked about again for whatever is more than a look: so it is on record. */
async function mayCall(
  api: AgentApi,
  caller: Caller,
  request: FastifyRequest,
  type: AgentCallType,
  id: ContainerId | undefined,
): Promise<boolean> {
  if (caller.kind === 'anyone') return false
  if (caller.kind === 'executor') {
    if (forEverybody.has(type)) return true
    const name = id && containerName(id)
    const isOwn = name !== undefined && api.isOwnContainer(caller.principal, name)
    // Its own container is the agent's to end: an executor has those below it.
    if (isOwn && forExecutors.has(type) && name !== rootOf(name)) return true
    const shown = name === undefined ? {} : { containerId: name.slice(0, 1024) }
    api.refused({ call: type, status: 403, why: 'not a container of this executor', ...shown })
    return false
  }
  if (forEverybody.has(type)) return true
  if (!caller.isOperator) return false
  if (type.startsWith('GET_')) return true
  const { authorization = '' } = request.headers
  const again = await api.whoCalls(authorization, request.ip, type)
  return again.outcome === 'known' && again.isOperator
}
