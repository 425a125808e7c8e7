import { containerName, type AgentApi, type LocalSession, type PlainAnswer } from '@conclave/actors'
import { agentCallProblem, type AgentCall, type ContainerId } from '@conclave/model'
import { RecordIoDecoder, RecordIoMalformed, recordsOf } from '@conclave/runtime'
import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { plain, send } from './answers.ts'
import { callReading, readCall } from './checks.ts'
import type { MediaName } from './media.ts'

/** A keystroke, or a piece of a file: nobody sends a megabyte in one record. */
const recordBytesMax = 1_048_576

/**
 * ATTACH_CONTAINER_INPUT: the first record names a session, the others bring what is typed into it.
 * Only sessions have an input here: the programs of tasks have none. Answers when the input has ended.
 */
export async function attachInput(
  api: AgentApi,
  body: Readable,
  media: MediaName,
  reply: FastifyReply,
  may: (id: ContainerId) => Promise<boolean>,
): Promise<FastifyReply> {
  let session: LocalSession | undefined
  try {
    for await (const record of recordsOf(body, new RecordIoDecoder(recordBytesMax))) {
      const read = readCall(record, media, callReading)
      if ('refusal' in read) return send(reply, read.refusal)
      const { call } = read
      const problem = problemOf(call, session === undefined)
      if (problem !== undefined) return send(reply, problem)
      const part = call.attach_container_input
      if (session === undefined) {
        const id = part?.container_id
        if (id === undefined || !(await may(id))) return send(reply, plain(403))
        const name = containerName(id)
        session = api.sessionOf(name)
        if (session !== undefined) continue
        return send(
          reply,
          api.hasContainer(name)
            ? plain(400, `Container ${name} has no input that could be attached to`)
            : plain(404, `Container ${name} cannot be found`),
        )
      }
      take(session, part)
    }
    // The stream has ended: what is typed has, too.
    session?.endInput()
    if (session !== undefined) return send(reply, plain(200, ''))
    return send(reply, plain(400, 'Received EOF while reading request body'))
  } catch (error) {
    if (error instanceof RecordIoMalformed) return send(reply, plain(400, error.message))
    // The client is gone in the middle of a record.
    session?.endInput()
    return send(reply, plain(400))
  } finally {
    body.destroy()
  }
}

function problemOf(call: AgentCall, isFirst: boolean): PlainAnswer | undefined {
  const problem = agentCallProblem(call)
  if (problem !== undefined) return plain(400, `Failed to validate agent::Call: ${problem}`)
  if (call.type !== 'ATTACH_CONTAINER_INPUT') {
    const content = "Streaming 'Content-Type' application/recordio"
    return plain(415, `${content} is not supported for ${call.type} call`)
  }
  const wanted = isFirst ? 'CONTAINER_ID' : 'PROCESS_IO'
  return call.attach_container_input?.type === wanted
    ? undefined
    : plain(400, `Expecting 'attach_container_input.type' to be '${wanted}'`)
}

/** Data for standard input; an empty piece ends it. Sizes of terminals say nothing: there are none. */
function take(session: LocalSession, part: AgentCall['attach_container_input']): void {
  const { type, data } = part?.process_io ?? {}
  if (type !== 'DATA' || data === undefined) return
  const bytes = Buffer.from(data.data ?? '', 'base64')
  if (bytes.length === 0) session.endInput()
  else session.write(new Uint8Array(bytes))
}
