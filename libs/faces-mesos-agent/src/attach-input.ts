import { containerName, type AgentApi, type LocalSession } from '@conclave/actors'
import {
  agentCallProblem,
  CallMalformed,
  parseAgentCall,
  type AgentCall,
  type ContainerId,
} from '@conclave/model'
import { RecordIoDecoder, RecordIoMalformed, recordsOf } from '@conclave/runtime'
import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { plain, send } from './answers.ts'
import { jsonIn } from './checks.ts'

/** A keystroke, or a piece of a file: nobody sends a megabyte in one record. */
const recordBytesMax = 1_048_576

/**
 * ATTACH_CONTAINER_INPUT: the first record names a session, the others bring what is typed into it.
 * Only sessions have an input here: the programs of tasks have none. Answers when the input has ended.
 */
export async function attachInput(
  api: AgentApi,
  body: Readable,
  reply: FastifyReply,
  may: (id: ContainerId) => Promise<boolean>,
): Promise<FastifyReply> {
  let session: LocalSession | undefined
  try {
    for await (const record of recordsOf(body, new RecordIoDecoder(recordBytesMax))) {
      const call = callIn(record)
      const problem = typeof call === 'string' ? call : problemOf(call, session === undefined)
      if (problem !== undefined || typeof call === 'string') return send(reply, plain(400, problem))
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
    return send(reply, session === undefined ? plain(400) : plain(200, ''))
  } catch (error) {
    if (error instanceof RecordIoMalformed) return send(reply, plain(400, error.message))
    // The client is gone in the middle of a record.
    session?.endInput()
    return send(reply, plain(400))
  } finally {
    body.destroy()
  }
}

function callIn(record: Uint8Array): AgentCall | string {
  const read = jsonIn(record)
  if (read === undefined) return 'Failed to parse body into JSON: syntax error'
  try {
    return parseAgentCall(read.json)
  } catch (error) {
    if (error instanceof CallMalformed) return error.message
    throw error
  }
}

function problemOf(call: AgentCall, isFirst: boolean): string | undefined {
  const problem =
    call.type === 'ATTACH_CONTAINER_INPUT' || call.type === undefined
      ? agentCallProblem(call)
      : "Expecting 'type' to be 'ATTACH_CONTAINER_INPUT'"
  if (problem !== undefined) return `Failed to validate agent::Call: ${problem}`
  const wanted = isFirst ? 'CONTAINER_ID' : 'PROCESS_IO'
  return call.attach_container_input?.type === wanted
    ? undefined
    : `Expecting 'attach_container_input.type' to be '${wanted}'`
}

/** Data for standard input; an empty piece ends it. Sizes of terminals say nothing: there are none. */
function take(session: LocalSession, part: AgentCall['attach_container_input']): void {
  const { type, data } = part?.process_io ?? {}
  if (type !== 'DATA' || data === undefined) return
  const bytes = Buffer.from(data.data ?? '', 'base64')
  if (bytes.length === 0) session.endInput()
  else session.write(new Uint8Array(bytes))
}
