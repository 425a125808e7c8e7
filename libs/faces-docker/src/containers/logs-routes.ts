import {
  TaskNotFound,
  TaskNotRunning,
  type Caller,
  type LogsWanted,
  type TaskSession,
} from '@conclave/actors'
import type { TerminalSize } from '@conclave/model'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { engineHeaders, sendEmpty } from '../answers.ts'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import type { ContainerEvents } from '../events/container-events.ts'
import { isSet, isSetIn, queryOf } from '../query.ts'
import { versionOf } from '../request-version.ts'
import { momentIn } from '../times.ts'
import { speaks } from '../versions.ts'
import { findContainer, findRunning, notRunning, type Container } from './container.ts'
import { readDetachKeys } from './detach.ts'
import { hijackPlain, streamType, type Hijacked, type HijackRoute } from './hijack.ts'
import { LogLines } from './log-lines.ts'
import { ignoreInput, send, sendOutput, takeInput, whenGone, type Streams } from './streaming.ts'
import { readSize } from './terminal-size.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** What a container has said, and says. Source: docker-swarm.md A5, A7. */
export class LogsRoutes {
  readonly #engine: Engine
  readonly #events: ContainerEvents

  constructor(engine: Engine, events: ContainerEvents) {
    this.#engine = engine
    this.#events = events
  }

  readonly plugin: FastifyPluginAsync = async (app) => {
    const engine = this.#engine

    app.get<Named>('/containers/:id/logs', async (request, reply) => {
      const caller = callerOf(engine, request)
      const isWanted = (stream: string): boolean => isSet(request, stream)
      const streams = new Set((['stdout', 'stderr'] as const).filter(isWanted))
      if (streams.size === 0) {
        throw new Refusal(400, 'Bad parameters: you must choose at least one stream')
      }
      const container = await findContainer(engine, caller, request.params.id)
      const query = queryOf(request)
      const isRaw = container.spec.TTY ?? false
      const lines = new LogLines({
        streams,
        isRaw,
        hasTimes: isSet(request, 'timestamps'),
        ...(isSet(request, 'details') && { details: '' }),
        untilMs: momentIn(query.get('until'), Date.now()),
      })
      const session = await openLogs(engine, caller, container, logsWanted(request))
      reply.hijack()
      const { raw } = reply
      const version = versionOf(request)
      raw.writeHead(200, {
        ...engineHeaders,
        ...(speaks(version, '1.42') && { 'content-type': streamType(version, isRaw) }),
      })
      raw.flushHeaders()
      whenGone(raw, () => session.close())
      for await (const output of session.output()) {
        if (output.kind === 'end') break
        for (const line of lines.write(output)) await send(raw, line)
        if (lines.isOver) break
      }
      for (const line of lines.end()) await send(raw, line)
      raw.end()
      return reply
    })

    // Without an `Upgrade`; with one it comes by way of `hijack`.
    app.post<Named>('/containers/:id/attach', async (request, reply) => {
      const caller = callerOf(engine, request)
      const attached = await this.#attach(caller, request.params.id, queryOf(request))
      await this.#serve(attached, hijackPlain(reply))
      return reply
    })

    app.post<Named>('/containers/:id/resize', async (request, reply) => {
      const caller = callerOf(engine, request)
      const size = readSize(queryOf(request))
      const container = await findRunning(engine, caller, request.params.id)
      await resize(engine, caller, container, size)
      const { rows, columns } = size
      this.#events.did(container, 'resize', { height: String(rows), width: String(columns) })
      return sendEmpty(reply)
    })
  }

  /** `POST /containers/{id}/attach`. Its program goes on when its clients go. */
  readonly hijack: HijackRoute = {
    path: /^\/containers\/([^/]+)\/attach$/,
    handle: async ({ asked, version, query, accept }, id = '') => {
      const caller = callerOf(this.#engine, asked)
      const attached = await this.#attach(caller, id, query)
      await this.#serve(attached, accept(streamType(version, attached.isRaw)))
    },
  }

  async #serve(attached: Attached, { socket, early }: Hijacked): Promise<void> {
    const { container, session, detachKeys, isRaw, hasInput } = attached
    this.#events.did(container, 'attach')
    if (hasInput) {
      takeInput(socket, early, session, {
        detachKeys: isRaw ? detachKeys : undefined,
        onDetached: () => {
          this.#events.did(container, 'detach')
          session.close()
        },
        // The program's own input does not end with a client's. Source: moby, `stream/attach.go`.
        onEnd: () => session.close(),
      })
    } else {
      // What no program reads would wait at its agent, and have the client wait.
      ignoreInput(socket)
    }
    whenGone(socket, () => session.close())
    await sendOutput(session, socket, attached)
    socket.end()
  }

  /** @throws Refusal */
  async #attach(caller: Caller, asked: string, query: URLSearchParams): Promise<Attached> {
    const detachKeys = readDetachKeys(query.get('detachKeys') ?? '')
    const container = await findContainer(this.#engine, caller, asked)
    const follow = isSetIn(query, 'stream')
    // What one that has ended has said is there to be read.
    if (follow && container.state !== 'running') throw notRunning(container)
    const tail = isSetIn(query, 'logs') ? undefined : 0
    const hasInput = isSetIn(query, 'stdin') && container.spec.OpenStdin === true
    const attached = hasInput ? { isAttached: true } : {}
    const session = await openLogs(this.#engine, caller, container, { follow, tail, ...attached })
    return {
      container,
      session,
      detachKeys,
      hasInput,
      stdout: isSetIn(query, 'stdout'),
      stderr: isSetIn(query, 'stderr'),
      isRaw: container.spec.TTY ?? false,
    }
  }
}

/** A client of a container's own program. */
interface Attached extends Streams {
  readonly container: Container
  readonly session: TaskSession
  readonly detachKeys: readonly number[]
  /** What the client types is for the program, which reads. */
  readonly hasInput: boolean
}

export function logsWanted(request: FastifyRequest): LogsWanted {
  const query = queryOf(request)
  const tail = query.get('tail') ?? 'all'
  const sinceMs = momentIn(query.get('since'), Date.now())
  return {
    follow: isSet(request, 'follow'),
    tail: /^\d{1,9}$/.test(tail) ? Number(tail) : undefined,
    sinceMs: sinceMs === undefined ? undefined : Math.max(0, sinceMs),
  }
}

async function resize(
  engine: Engine,
  caller: Caller,
  container: Container,
  size: TerminalSize,
): Promise<void> {
  try {
    await engine.master.tasks.resize(caller, container.task.taskId, size)
  } catch (error) {
    if (error instanceof TaskNotRunning || error instanceof TaskNotFound)
      throw notRunning(container)
    throw error
  }
}

async function openLogs(
  engine: Engine,
  caller: Caller,
  container: Container,
  wanted: LogsWanted,
): Promise<TaskSession> {
  try {
    return await engine.master.tasks.logs(caller, container.task.taskId, wanted)
  } catch (error) {
    if (error instanceof TaskNotRunning) throw notRunning(container)
    if (!(error instanceof TaskNotFound)) throw error
    throw new Refusal(500, `the output of container ${container.id} is not kept any more`)
  }
}
