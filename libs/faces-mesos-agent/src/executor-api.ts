import type { AgentApi, PlainAnswer } from '@conclave/actors'
import { asciiJson, ExecutorCall, executorCallProblem, ExecutorEvent } from '@conclave/model'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from './admission.ts'
import { plain, send } from './answers.ts'
import { bodyMedia, eventMedia, readCall, type CallReading } from './checks.ts'
import type { AgentFaceOptions } from './face.ts'
import { shown } from './json.ts'
import { writer } from './media.ts'
import { RecordStream } from './record-stream.ts'

const reading: CallReading<ExecutorCall> = {
  kind: ExecutorCall,
  type: 'executor.Call',
  prefix: {
    'application/json': 'Failed to convert JSON into Call protobuf: ',
    'application/x-protobuf': 'Failed to parse body into Call protobuf: ',
  },
}

/** `POST /api/v1/executor`, once it is known who calls. The checks are in Mesos' order (mesos.md §8). */
export function answerExecutor(
  api: AgentApi,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
  options: AgentFaceOptions,
): FastifyReply {
  const read = readCall(request.body, bodyMedia(request.headers['content-type']), reading)
  if ('refusal' in read) return send(reply, read.refusal)
  const problem = executorCallProblem(read.call)
  if (problem !== undefined) {
    return send(reply, plain(400, `Failed to validate Executor::Call: ${problem}`))
  }
  if (read.call.type === 'UNKNOWN') return send(reply, plain(501))
  const refusal =
    read.call.type === 'SUBSCRIBE'
      ? subscribe(api, caller, read.call, request, reply, options)
      : api.executorCall(principalOf(caller), read.call, undefined)
  return refusal === undefined ? reply : send(reply, refusal)
}

/** One record's payload. Mesos' own has the inline values in it that a framework sent (mesos.md §8, §21). */
export const executorEventText = (
  api: AgentApi,
  options: AgentFaceOptions,
  event: ExecutorEvent,
): string => asciiJson(shown(api, options)(ExecutorEvent, event))

/** Undefined once the answer is a stream that has begun. */
function subscribe(
  api: AgentApi,
  caller: Caller,
  call: ExecutorCall,
  request: FastifyRequest,
  reply: FastifyReply,
  options: AgentFaceOptions,
): PlainAnswer | undefined {
  const media = eventMedia(request.headers)
  if (typeof media !== 'string') return media
  const stream = new RecordStream(reply)
  const write = writer(api, options)
  const connection = {
    send: (event: ExecutorEvent) =>
      stream.send(write(media, ExecutorEvent, 'executor.Event', event)),
    close: () => stream.close(),
  }
  const refused = api.executorCall(principalOf(caller), call, connection)
  if (refused !== undefined) return refused
  stream.open({ 'content-type': media }, () => api.executorGone(call, connection))
  return undefined
}

const principalOf = (caller: Caller) => {
  switch (caller.kind) {
    case 'executor':
      return caller.principal
    case 'person':
      return { uid: caller.uid }
    case 'anyone':
      break
  }
  return undefined
}
