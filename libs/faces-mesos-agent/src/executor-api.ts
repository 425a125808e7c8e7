import type { AgentApi, PlainAnswer } from '@conclave/actors'
import {
  asciiJson,
  executorCallProblem,
  ExecutorEvent,
  parseExecutorCall,
  toProtobuf,
  type ExecutorCall,
} from '@conclave/model'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from './admission.ts'
import { plain, send } from './answers.ts'
import { eventMedia, protobufName, readCall, readProtobufCall } from './checks.ts'
import type { AgentFaceOptions } from './face.ts'
import { opened, shown } from './json.ts'
import { RecordStream } from './record-stream.ts'

/** `POST /api/v1/executor`, once it is known who calls. The checks are in Mesos' order (mesos.md §8). */
export function answerExecutor(
  api: AgentApi,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
  options: AgentFaceOptions,
): FastifyReply {
  const prefix = 'Failed to convert JSON into Call protobuf: '
  const isProtobuf = request.headers['content-type'] === protobufName
  const read = isProtobuf
    ? readProtobufCall(request.body)
    : readCall(request.body, parseExecutorCall, prefix)
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

const executorEventBytes = (
  api: AgentApi,
  options: AgentFaceOptions,
  event: ExecutorEvent,
): Uint8Array => {
  const { message, writing } = opened(api, options, ExecutorEvent, event)
  return toProtobuf(ExecutorEvent, 'executor.Event', message, writing)
}

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
  const connection = {
    send: (event: ExecutorEvent) =>
      stream.send(
        media === protobufName
          ? executorEventBytes(api, options, event)
          : executorEventText(api, options, event),
      ),
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
