import { constants } from 'node:os'
import { TaskNotFound, TaskNotRunning, type Caller } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { engineHeaders, jsonLine, sendEmpty } from '../answers.ts'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { isSet, queryOf } from '../query.ts'
import { exitCodeOf, findContainer, findRunning, notRunning, type Container } from './container.ts'
import { whenGone } from './streaming.ts'
import { untilEnded, type Outcome } from './waiting.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** How long SIGKILL may take before a client is told that it did not help. */
const killPatienceMs = 15_000
const stopSecondsMax = 3600

/**
 * The life of containers that belong to a swarm: who stops one has failed its task, and the swarm starts another
 * in its place, as under dockerd.
 */
export const lifecycleRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.post<Named>('/containers/:id/kill', async (request, reply) => {
      const caller = callerOf(engine, request)
      const signal = signalIn(queryOf(request).get('signal') ?? 'KILL')
      const container = await findContainer(engine, caller, request.params.id).catch(cannotKill)
      if (container.state !== 'running') {
        const text = `cannot kill container: ${request.params.id}: container ${container.id} is not running`
        throw new Refusal(409, text)
      }
      await sendSignal(engine, caller, container, signal)
      if (signal === 'KILL') await soon(engine, caller, container, killPatienceMs)
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/containers/:id/stop', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findContainer(engine, caller, request.params.id)
      if (container.state !== 'running') return sendEmpty(reply, 304)
      await stop(engine, caller, container, request)
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/containers/:id/restart', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findRunning(engine, caller, request.params.id)
      await stop(engine, caller, container, request)
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/containers/:id/start', async (request, reply) => {
      const container = await findContainer(engine, callerOf(engine, request), request.params.id)
      if (container.state !== 'exited') return sendEmpty(reply, 304)
      const { workloadName } = container.task
      throw new Refusal(
        409,
        `container ${container.id} was a task of service ${workloadName}, which is never started again: docker service update --force ${workloadName}`,
      )
    })

    app.post<Named>('/containers/:id/wait', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findContainer(engine, caller, request.params.id)
      return wait(engine, caller, container, request, reply)
    })

    app.delete<Named>('/containers/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findContainer(engine, caller, request.params.id)
      if (container.state === 'exited') {
        const text = `cannot remove container "/${container.name}": the swarm remembers the tasks of its services, as many as its task history limit says`
        throw new Refusal(409, text)
      }
      if (!isSet(request, 'force')) {
        const text = `cannot remove container "/${container.name}": container is running: stop the container before removing or force remove`
        throw new Refusal(409, text)
      }
      await sendSignal(engine, caller, container, 'KILL')
      await soon(engine, caller, container, killPatienceMs)
      return sendEmpty(reply, 204)
    })
  }

/** @throws Refusal */
function cannotKill(error: unknown): never {
  if (!(error instanceof Refusal)) throw error
  const asked = error.message.replace(/^No such container: /, '')
  throw new Refusal(error.status, `cannot kill container: ${asked}: ${error.message}`)
}

async function stop(
  engine: Engine,
  caller: Caller,
  container: Container,
  request: FastifyRequest,
): Promise<void> {
  const query = queryOf(request)
  const usual = Math.round((container.spec.StopGracePeriod ?? 10e9) / 1e9)
  const seconds = secondsIn(query.get('t')) ?? usual
  const asked = query.get('signal')
  // Its service's or its image's own is the agent's to know.
  await sendSignal(engine, caller, container, asked ? signalIn(asked) : undefined)
  if (seconds < 0) return void (await soon(engine, caller, container, undefined))
  if (await soon(engine, caller, container, Math.min(seconds, stopSecondsMax) * 1000)) return
  await sendSignal(engine, caller, container, 'KILL')
  await soon(engine, caller, container, killPatienceMs)
}

/** Whether it has ended within `ms`, or at all when that is not said. */
async function soon(
  engine: Engine,
  caller: Caller,
  container: Container,
  ms: number | undefined,
): Promise<boolean> {
  const patience = ms === undefined ? new AbortController().signal : AbortSignal.timeout(ms)
  return (await untilEnded(engine, caller, container, patience)) !== undefined
}

/** One that ended meanwhile needs none. @throws Refusal */
async function sendSignal(
  engine: Engine,
  caller: Caller,
  container: Container,
  signal: string | undefined,
): Promise<void> {
  try {
    await engine.master.tasks.signal(caller, container.task.taskId, signal)
  } catch (error) {
    if (!(error instanceof TaskNotRunning || error instanceof TaskNotFound)) throw error
    if (signal !== 'KILL') throw notRunning(container)
  }
}

/** The head at once, the exit code when there is one: a client knows by the head that it waits. */
async function wait(
  engine: Engine,
  caller: Caller,
  container: Container,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const gone = new AbortController()
  whenGone(reply.raw, () => gone.abort())
  const isNext = queryOf(request).get('condition') === 'next-exit'
  reply.hijack()
  reply.raw.writeHead(200, { ...engineHeaders, 'content-type': 'application/json' })
  reply.raw.flushHeaders()
  if (container.state === 'exited' && !isNext) return end({ StatusCode: exitCodeOf(container) })
  const ended = await untilEnded(engine, caller, container, gone.signal)
  return ended === undefined ? end(undefined) : end(statusOf(container, ended.outcome))

  function end(status: object | undefined): FastifyReply {
    reply.raw.end(status === undefined ? undefined : jsonLine(status))
    return reply
  }
}

function statusOf(container: Container, outcome: Outcome): object {
  if (outcome !== undefined) return { StatusCode: exitCodeOf({ ...container, task: outcome }) }
  return { StatusCode: 137, Error: { Message: 'the task is not remembered any more' } }
}

const signalMax = 64
/** Of which there are thirty, counted from either end. */
const realTime = /^RTM(?:IN(?:\+(?:[1-9]|1[0-5]))?|AX(?:-(?:[1-9]|1[0-4]))?)$/

/** @throws Refusal */
function signalIn(text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, '')
  const isNumber = /^[1-9]\d?$/.test(name) && Number(name) <= signalMax
  if (isNumber || Object.hasOwn(constants.signals, `SIG${name}`) || realTime.test(name)) return name
  throw new Refusal(400, `Invalid signal: ${text.slice(0, 32).replaceAll(/[^\x20-\x7e]/g, '?')}`)
}

function secondsIn(text: string | null): number | undefined {
  if (text === null || text === '') return undefined
  if (/^-?\d{1,9}$/.test(text)) return Number(text)
  throw new Refusal(400, `strconv.Atoi: parsing "${text.slice(0, 16)}": invalid syntax`)
}
