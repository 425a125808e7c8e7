import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { engineHeaders } from '../answers.ts'
import { streamType } from '../containers/hijack.ts'
import { logsWanted } from '../containers/logs-routes.ts'
import { whenGone } from '../containers/streaming.ts'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { isSet, queryOf } from '../query.ts'
import { versionOf } from '../request-version.ts'
import { demandSwarm } from '../swarm-gate.ts'
import { speaks } from '../versions.ts'
import { findService } from './find-service.ts'
import { TaskLogs, type TaskLogsWanted } from './service-logs.ts'
import { writtenSpec } from './service-object.ts'
import type { TaskSeen } from './task-filters.ts'
import { findTask, tasksOf } from './tasks.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** What the tasks of a service say, or one of them. Source: docker-swarm.md A10. */
export const taskLogsRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.get<Named>('/services/:id/logs', async (request, reply) => {
      const caller = callerOf(engine, request)
      demandStream(request)
      const { id, spec } = await findService(engine, caller, request.params.id)
      const tasks = (): Promise<readonly TaskSeen[]> =>
        tasksOf(engine, caller, new Map([['service', [id]]]))
      return answer(engine, request, reply, { isRaw: hasTerminal(spec), tasks, mayCome: true })
    })

    app.get<Named>('/tasks/:id/logs', async (request, reply) => {
      const caller = callerOf(engine, request)
      demandStream(request)
      const { task } = await findTask(engine, caller, request.params.id)
      const tasks = async (): Promise<readonly TaskSeen[]> => [
        await findTask(engine, caller, task.id),
      ]
      // What a task that has begun says ends with it.
      const mayCome = task.containerId === undefined
      return answer(engine, request, reply, { isRaw: hasTerminal(task.spec), tasks, mayCome })
    })
  }

async function answer(
  engine: Engine,
  request: FastifyRequest,
  reply: FastifyReply,
  of: {
    readonly isRaw: boolean
    readonly tasks: () => Promise<readonly TaskSeen[]>
    /** Whether there may be more tasks later. */
    readonly mayCome: boolean
  },
): Promise<FastifyReply> {
  const wanted = wantedIn(request, of.isRaw)
  const version = versionOf(request)
  const { raw } = reply
  const gone = new AbortController()
  whenGone(raw, () => gone.abort())
  const logs = new TaskLogs({
    engine,
    caller: callerOf(engine, request),
    to: raw,
    wanted,
    gone: gone.signal,
  })
  const first = await of.tasks()
  await logs.begin(first)
  reply.hijack()
  raw.writeHead(200, {
    ...engineHeaders,
    ...(speaks(version, '1.42') && { 'content-type': streamType(version, of.isRaw) }),
  })
  raw.flushHeaders()
  try {
    await (wanted.follow && of.mayCome ? logs.follow(of.tasks) : logs.read(first))
  } catch (error) {
    request.log.error({ err: error }, 'the output of a service broke off')
  }
  raw.end()
  return reply
}

const hasTerminal = (spec: TaskSeen['task']['spec']): boolean =>
  writtenSpec(spec).TaskTemplate?.ContainerSpec?.TTY ?? false

const streamsIn = (request: FastifyRequest): readonly ('stdout' | 'stderr')[] =>
  (['stdout', 'stderr'] as const).filter((stream) => isSet(request, stream))

/** @throws Refusal */
function demandStream(request: FastifyRequest): void {
  if (streamsIn(request).length > 0) return
  throw new Refusal(400, 'Bad parameters: you must choose at least one stream')
}

/** Of a service only so many lines, or all, where a container takes what is no number for all. @throws Refusal */
function wantedIn(request: FastifyRequest, isRaw: boolean): TaskLogsWanted {
  const streams = streamsIn(request)
  const tail = queryOf(request).get('tail') || 'all'
  if (tail !== 'all' && !/^[-+]?\d{1,18}$/.test(tail)) {
    throw new Refusal(400, 'tail value must be a positive integer or "all"')
  }
  if (Number(tail) < 0) throw new Refusal(400, 'negative tail values not supported')
  return {
    ...logsWanted(request),
    writing: { streams: new Set(streams), isRaw, hasTimes: isSet(request, 'timestamps') },
    hasDetails: isSet(request, 'details'),
  }
}
