import { containerName, type AgentApi, type LaunchAnswer, type PlainAnswer } from '@conclave/actors'
import {
  asciiJson,
  ProcessIo,
  toJson,
  toProtobuf,
  type AgentCall,
  type AgentResponse,
  type ContainerId,
} from '@conclave/model'
import type { FastifyReply } from 'fastify'
import { plain } from './answers.ts'
import type { AnswerMedia } from './checks.ts'
import { protobufName, type MediaName } from './media.ts'
import { RecordStream } from './record-stream.ts'

/*
 * Containers below those of executors, and sessions into them. Source: mesos.md §7.
 */

type Launch = AgentCall['launch_nested_container']

const heartbeatMs = 30_000

const unknown = (id: string): PlainAnswer => plain(404, `Container ${id} cannot be found`)

const launchAnswers = {
  launched: plain(200, ''),
  exists: plain(202, ''),
  unsupported: plain(400, 'The provided ContainerInfo is not supported'),
} as const

function answerOf(answer: LaunchAnswer, name: string): PlainAnswer {
  switch (answer.outcome) {
    case 'failed':
      return plain(400, answer.why)
    case 'no-parent':
      return unknown(name)
    default:
      return launchAnswers[answer.outcome]
  }
}

export async function launch(api: AgentApi, part: Launch): Promise<PlainAnswer> {
  if (part === undefined) return plain(400)
  const { container_id: id, command, container } = part
  const name = containerName(id)
  return answerOf(await api.launch({ name, command, container }), name)
}

/** Undefined once the answer is a stream. */
export function launchSession(
  api: AgentApi,
  { launch_nested_container_session: part }: AgentCall,
  reply: FastifyReply,
  { message, headers }: AnswerMedia,
): PlainAnswer | undefined {
  if (part === undefined) return plain(400)
  const { container_id: id, command, container } = part
  const name = containerName(id)
  const io = new IoStream(reply, message)
  const session = api.openSession({ name, command, container }, io)
  if ('outcome' in session) return answerOf(session, name)
  // Whoever opened it has gone, and so does what it opened.
  io.open(headers, () => session.close())
  return undefined
}

export function attachOutput(
  api: AgentApi,
  { attach_container_output: part }: AgentCall,
  reply: FastifyReply,
  { message, headers }: AnswerMedia,
): PlainAnswer | undefined {
  if (part === undefined) return plain(400)
  const name = containerName(part.container_id)
  const io = new IoStream(reply, message)
  const session = api.openOutput(name, io, true)
  if (session === undefined) return unknown(name)
  io.open(headers, () => session.close())
  return undefined
}

interface Named {
  readonly container_id: ContainerId
}

export async function wait(
  api: AgentApi,
  type: 'WAIT_CONTAINER' | 'WAIT_NESTED_CONTAINER',
  part: Named | undefined,
): Promise<PlainAnswer | AgentResponse> {
  if (part === undefined) return plain(400)
  const name = containerName(part.container_id)
  const ended = api.wait(name)
  if (ended === undefined) return unknown(name)
  const { exit, message } = await ended
  const status = exit === undefined ? {} : { exit_status: waitStatus(exit) }
  const how = { ...status, ...(message === '' ? {} : { message }) }
  return type === 'WAIT_CONTAINER'
    ? { type, wait_container: how }
    : { type, wait_nested_container: how }
}

/** As `wait(2)` has it. */
const waitStatus = ({ exitCode, signal }: { exitCode: number; signal?: string }): number =>
  signal === undefined ? exitCode << 8 : exitCode - 128

const signalNames: Readonly<Record<number, string>> = {
  1: 'HUP',
  2: 'INT',
  3: 'QUIT',
  9: 'KILL',
  10: 'USR1',
  12: 'USR2',
  15: 'TERM',
}

export function kill(
  api: AgentApi,
  part: (Named & { readonly signal?: number | undefined }) | undefined,
): PlainAnswer {
  if (part === undefined) return plain(400)
  const signal = signalNames[part.signal ?? 9]
  if (signal === undefined) return plain(400, `'signal' ${part.signal} is not one that can be sent`)
  const name = containerName(part.container_id)
  return api.kill(name, signal) ? plain(200, '') : unknown(name)
}

export function remove(api: AgentApi, part: Named | undefined): PlainAnswer {
  if (part === undefined) return plain(400)
  const name = containerName(part.container_id)
  switch (api.remove(name)) {
    case 'removed':
      return plain(200, '')
    case 'unknown':
      return unknown(name)
    case 'running':
      break
  }
  return plain(400, `Container ${name} has not terminated yet`)
}

/** Output of a container as ProcessIO records, with a heartbeat, so that silence is not the end. */
class IoStream {
  readonly #stream: RecordStream
  readonly #media: MediaName
  #heartbeat: NodeJS.Timeout | undefined

  constructor(reply: FastifyReply, media: MediaName) {
    this.#stream = new RecordStream(reply)
    this.#media = media
  }

  get waitingBytes(): number {
    return this.#stream.waitingBytes
  }

  open(headers: Readonly<Record<string, string>>, onGone: () => void): void {
    this.#heartbeat = setInterval(() => this.#send(heartbeat), heartbeatMs)
    this.#heartbeat.unref()
    this.#send(heartbeat)
    this.#stream.open(headers, () => {
      clearInterval(this.#heartbeat)
      onGone()
    })
  }

  output({ stream, bytes }: { readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array }) {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
    const type = stream === 'stdout' ? 'STDOUT' : 'STDERR'
    this.#send({ type: 'DATA', data: { type, data } })
  }

  ended({ error }: { readonly error?: string }): void {
    clearInterval(this.#heartbeat)
    if (error !== undefined) {
      const data = Buffer.from(`${error}\n`).toString('base64')
      this.#send({ type: 'DATA', data: { type: 'STDERR', data } })
    }
    this.#stream.close()
  }

  #send(record: ProcessIo): void {
    this.#stream.send(
      this.#media === protobufName
        ? toProtobuf(ProcessIo, 'agent.ProcessIO', record)
        : asciiJson(toJson(ProcessIo, record)),
    )
  }
}

const heartbeat: ProcessIo = {
  type: 'CONTROL',
  control: {
    type: 'HEARTBEAT',
    heartbeat: { interval: { nanoseconds: heartbeatMs * 1_000_000 } },
  },
}
