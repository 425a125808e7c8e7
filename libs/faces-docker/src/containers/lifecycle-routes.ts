import { TaskNotFound, TaskNotRunning, type Caller } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import { engineHeaders, jsonLine, sendEmpty } from '../answers.ts'
import { callerOf, simulatedImagesOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import type { ContainerEvents } from '../events/container-events.ts'
import { printable } from '../printable.ts'
import { isSet, queryOf } from '../query.ts'
import { exitCodeOf, findContainer, notRunning, type Container } from './container.ts'
import { signalIn, signalNumber, stopSignalOf } from './signals.ts'
import { whenGone } from './streaming.ts'
import { hasEnded, isForgotten, untilSo, type Outcome } from './waiting.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** How long SIGKILL may take before a client is told that it did not help. */
const killPatienceMs = 15_000
const stopSecondsMax = 3600
const killNumber = 9

/**
 * The life of containers that belong to a swarm: who stops one has failed its task, and the swarm starts another
 * in its place, as under dockerd.
 */
export const lifecycleRoutes =
  (engine: Engine, events: ContainerEvents): FastifyPluginAsync =>
  async (app) => {
    const lives = new Lives(engine, events)

    app.post<Named>('/containers/:id/kill', async (request, reply) => {
      await lives.kill(callerOf(engine, request), request.params.id, queryOf(request).get('signal'))
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/containers/:id/stop', async (request, reply) => {
      const caller = callerOf(engine, request)
      const how = stopping(queryOf(request))
      const container = await findContainer(engine, caller, request.params.id)
      if (container.state !== 'running') return sendEmpty(reply, 304)
      await lives.stop(caller, container, how, `cannot stop container: ${request.params.id}`)
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/containers/:id/restart', async (request, reply) => {
      const caller = callerOf(engine, request)
      const how = stopping(queryOf(request))
      const container = await findContainer(engine, caller, request.params.id)
      if (container.state === 'exited') throw neverAgain(container)
      if (container.state !== 'running') throw notRunning(container)
      await lives.stop(caller, container, how, `Cannot restart container ${request.params.id}`)
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/containers/:id/start', async (request, reply) => {
      const container = await findContainer(engine, callerOf(engine, request), request.params.id)
      if (container.state === 'exited') throw neverAgain(container)
      return sendEmpty(reply, 304)
    })

    app.post<Named>('/containers/:id/wait', async (request, reply) => {
      const caller = callerOf(engine, request)
      const condition = queryOf(request).get('condition') || 'not-running'
      if (!conditions.includes(condition)) {
        throw new Refusal(400, `invalid condition: "${printable(condition)}"`)
      }
      const container = await findContainer(engine, caller, request.params.id)
      return wait(engine, caller, container, condition, reply)
    })

    app.delete<Named>('/containers/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findContainer(engine, caller, request.params.id)
      if (isSet(request, 'link')) {
        throw new Refusal(409, 'Conflict, cannot remove the default link name of the container')
      }
      if (container.state === 'exited') {
        const text = `cannot remove container "/${container.name}": the swarm remembers the tasks of its services, as many as its task history limit says`
        throw new Refusal(409, text)
      }
      if (!isSet(request, 'force')) {
        const text = `cannot remove container "/${container.name}": container is ${container.state}: stop the container before removing or force remove`
        throw new Refusal(409, text)
      }
      await lives.end(caller, container)
      return sendEmpty(reply, 204)
    })
  }

const conditions: readonly string[] = ['not-running', 'next-exit', 'removed']

interface Stopping {
  readonly seconds: number | undefined
  readonly signal: string | null
}

/** @throws Refusal */
const stopping = (query: URLSearchParams): Stopping => ({
  seconds: secondsIn(query.get('t')),
  signal: query.get('signal'),
})

const neverAgain = ({ id, task: { workloadName } }: Container): Refusal =>
  new Refusal(
    409,
    `container ${id} was a task of service ${workloadName}, which is never started again: docker service update --force ${workloadName}`,
  )

/** @throws Refusal in the words of whoever could not do something because of the signal */
function signalFor(what: string, text: string): string {
  try {
    return signalIn(text)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal(error.status, `${what}: ${error.message}`)
  }
}

class Lives {
  readonly #engine: Engine
  readonly #events: ContainerEvents

  constructor(engine: Engine, events: ContainerEvents) {
    this.#engine = engine
    this.#events = events
  }

  /** @throws Refusal */
  async kill(caller: Caller, asked: string, text: string | null): Promise<void> {
    const what = `cannot kill container: ${printable(asked)}`
    const signal = signalFor(what, text || 'KILL')
    const container = await findContainer(this.#engine, caller, asked).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error
      throw new Refusal(error.status, `${what}: ${error.message}`)
    })
    if (container.state !== 'running') {
      throw new Refusal(409, `${what}: ${notRunning(container).message}`)
    }
    if (signalNumber(signal) === killNumber) return this.end(caller, container)
    await this.#send(caller, container, signal)
  }

  /** By SIGKILL, which nobody survives. */
  async end(caller: Caller, container: Container): Promise<void> {
    await this.#send(caller, container, 'KILL')
    await this.#soon(caller, container, killPatienceMs)
  }

  /** @throws Refusal */
  async stop(caller: Caller, container: Container, how: Stopping, what: string): Promise<void> {
    const usual = Math.round((container.spec.StopGracePeriod ?? 10e9) / 1e9)
    const { seconds = usual, signal } = how
    // Its service's or its image's own is the agent's to know.
    await this.#send(caller, container, signal ? signalFor(what, signal) : undefined)
    const ms = seconds < 0 ? undefined : Math.min(seconds, stopSecondsMax) * 1000
    if (!(await this.#soon(caller, container, ms))) await this.end(caller, container)
    this.#events.stopped(container)
  }

  /** Whether it has ended within `ms`, or at all when that is not said. */
  async #soon(caller: Caller, container: Container, ms: number | undefined): Promise<boolean> {
    const patience = ms === undefined ? new AbortController().signal : AbortSignal.timeout(ms)
    return (await untilSo(this.#engine, caller, container, hasEnded, patience)) !== undefined
  }

  /** One that ended meanwhile needs none. @throws Refusal */
  async #send(caller: Caller, container: Container, signal: string | undefined): Promise<void> {
    const usual = stopSignalOf(container, simulatedImagesOf(this.#engine))
    const number = (signal === undefined ? undefined : signalNumber(signal)) ?? usual
    try {
      await this.#events.killing(container, number, () =>
        this.#engine.master.tasks.signal(caller, container.task.taskId, signal),
      )
    } catch (error) {
      if (!(error instanceof TaskNotRunning || error instanceof TaskNotFound)) throw error
      if (signal !== 'KILL') throw notRunning(container)
    }
  }
}

/** The head at once, the exit code when there is one: a client knows by the head that it waits. */
async function wait(
  engine: Engine,
  caller: Caller,
  container: Container,
  condition: string,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const gone = new AbortController()
  whenGone(reply.raw, () => gone.abort())
  const hasExited = container.state === 'exited'
  // One that has exited is never started again: its next exit is that nobody remembers it.
  const isToGo = condition === 'removed' || (condition === 'next-exit' && hasExited)
  reply.hijack()
  reply.raw.writeHead(200, { ...engineHeaders, 'content-type': 'application/json' })
  reply.raw.flushHeaders()
  if (hasExited && !isToGo) return end({ StatusCode: exitCodeOf(container) })
  const isOver = isToGo ? isForgotten : hasEnded
  const ended = await untilSo(engine, caller, container, isOver, gone.signal)
  return ended === undefined ? end(undefined) : end(statusOf(container, ended.outcome))

  function end(status: object | undefined): FastifyReply {
    reply.raw.end(status === undefined ? undefined : jsonLine(status))
    return reply
  }
}

function statusOf(container: Container, outcome: Outcome): object {
  if (outcome !== undefined) return { StatusCode: exitCodeOf({ ...container, task: outcome }) }
  if (container.state === 'exited') return { StatusCode: exitCodeOf(container) }
  return { StatusCode: 137, Error: { Message: 'the task is not remembered any more' } }
}

function secondsIn(text: string | null): number | undefined {
  if (text === null || text === '') return undefined
  if (/^-?\d{1,9}$/.test(text)) return Number(text)
  throw new Refusal(400, `strconv.Atoi: parsing "${text.slice(0, 16)}": invalid syntax`)
}
