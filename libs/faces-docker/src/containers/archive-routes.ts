import { Readable } from 'node:stream'
import { TaskNotRunning, type Caller, type ExecWanted, type TaskSession } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sendEmpty } from '../answers.ts'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import type { ContainerEvents } from '../events/container-events.ts'
import { printable } from '../printable.ts'
import { isSetIn, queryOf } from '../query.ts'
import { rfc3339 } from '../times.ts'
import { findRunning, notRunning, type Container } from './container.ts'
import { whenGone } from './streaming.ts'

interface Named {
  readonly Params: { readonly id: string }
}

type ArchiveWanted = NonNullable<ExecWanted['archive']>

/** What a container says about a path, on a line before the archive. */
const Facts = z.object({
  name: z.string(),
  kind: z.enum(['file', 'directory', 'symlink']),
  mode: z.int().nonnegative().max(0o7777),
  sizeBytes: z.int().nonnegative(),
  modifiedAtMs: z.number().min(-8.64e15).max(8.64e15),
  linkTarget: z.string(),
})

const factsLengthMax = 64 * 1024
const inputPieceBytes = 256 * 1024

/**
 * `docker cp`, at the container's agent: what is copied sees no secret or config of the container, since these are
 * mounted in it alone. Source: moby, `daemon/archive.go` and `daemon/server/router/container/copy.go`.
 */
export const archiveRoutes =
  (engine: Engine, events: ContainerEvents): FastifyPluginAsync =>
  async (app) => {
    app.head<Named>('/containers/:id/archive', async (request, reply) => {
      const path = pathIn(request)
      const { session } = await opened(engine, request, { do: 'stat', path })
      const { stat } = await statFrom(session, request.params.id, path)
      session.close()
      return reply.header(statHeader, stat).code(200).send()
    })

    app.get<Named>(
      '/containers/:id/archive',
      { exposeHeadRoute: false },
      async (request, reply) => {
        const path = pathIn(request)
        const { session, container } = await opened(engine, request, { do: 'pack', path })
        const { stat, rest } = await statFrom(session, request.params.id, path)
        events.did(container, 'archive-path')
        // Also where the client has gone before any of it was read.
        whenGone(reply.raw, () => session.close())
        return sendArchive(reply.header(statHeader, stat), rest)
      },
    )

    app.put<Named>('/containers/:id/archive', async (request, reply) => {
      const query = queryOf(request)
      const path = pathIn(request)
      const { session, container } = await opened(engine, request, ({ spec }) => ({
        do: 'unpack',
        path,
        keepsKinds: isSetIn(query, 'noOverwriteDirNonDir'),
        // Where nobody is named, they belong to whom the archive says.
        isForUser: isSetIn(query, 'copyUIDGID') && (spec.User ?? '') !== '',
      }))
      await giveArchive(session, request.body)
      await outcome(session, request.params.id, path)
      events.did(container, 'extract-to-dir')
      return sendEmpty(reply)
    })
  }

const statHeader = 'x-docker-container-path-stat'

/** @throws Refusal */
function pathIn(request: FastifyRequest): string {
  const path = queryOf(request).get('path') ?? ''
  if (path === '') throw new Refusal(400, 'bad parameter: path cannot be empty')
  if (path.length > pathLengthMax || path.includes('\0')) {
    throw new Refusal(
      400,
      `bad parameter: path is none: at most ${pathLengthMax} characters, without NUL`,
    )
  }
  return path
}

const pathLengthMax = 4096

/** @throws Refusal */
async function opened(
  engine: Engine,
  request: FastifyRequest<Named>,
  wanted: ArchiveWanted | ((container: Container) => ArchiveWanted),
): Promise<{ readonly session: TaskSession; readonly container: Container }> {
  const caller: Caller = callerOf(engine, request)
  const container = await findRunning(engine, caller, request.params.id)
  const archive = typeof wanted === 'function' ? wanted(container) : wanted
  try {
    const session = await engine.master.tasks.exec(caller, container.task.taskId, {
      argv: [`conclave-archive-${archive.do}`],
      mustStart: true,
      archive,
    })
    return { session, container }
  } catch (error) {
    if (error instanceof TaskNotRunning) throw notRunning(container)
    throw error
  }
}

/** What is told first, and then the archive. @throws Refusal */
async function statFrom(
  session: TaskSession,
  asked: string,
  path: string,
): Promise<{ readonly stat: string; readonly rest: AsyncGenerator<Uint8Array, void> }> {
  const rest = bytesOf(session, asked, path)
  let head = Buffer.alloc(0)
  for (;;) {
    const { value, done } = await rest.next()
    if (done === true || head.length > factsLengthMax) break
    head = Buffer.concat([head, value])
    const end = head.indexOf('\n')
    if (end < 0) continue
    const facts = factsIn(head.subarray(0, end))
    if (facts === undefined) break
    return { stat: pathStat(facts), rest: withFirst(head.subarray(end + 1), rest) }
  }
  await rest.return()
  throw new Refusal(500, 'the agent of the container said nothing about the path')
}

function factsIn(line: Buffer): z.infer<typeof Facts> | undefined {
  try {
    return Facts.parse(JSON.parse(line.toString('utf8')))
  } catch {
    return undefined
  }
}

async function* withFirst(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void> {
  try {
    if (first.length > 0) yield first
    yield* rest
  } finally {
    await rest.return()
  }
}

/** Standard output to its end. @throws Refusal when that is no good one */
async function* bytesOf(
  session: TaskSession,
  asked: string,
  path: string,
): AsyncGenerator<Uint8Array, void> {
  let said = ''
  try {
    for await (const output of session.output()) {
      if (output.kind === 'end') return demandGood(output, said, asked, path)
      if (output.stream === 'stdout') yield output.bytes
      else if (said.length < factsLengthMax) said += Buffer.from(output.bytes).toString('utf8')
    }
  } finally {
    session.close()
  }
  throw new Refusal(500, 'the session was lost')
}

/** @throws Refusal */
async function outcome(session: TaskSession, asked: string, path: string): Promise<void> {
  const said = bytesOf(session, asked, path)
  while ((await said.next()).done !== true) continue
}

/** As the agent's runtime says it: 1 for what is not there, 2 for what is not as it should be. */
const statuses: Readonly<Record<number, number>> = { 2: 400, 3: 500 }
/** What a shell answers: the agent, or the leader, is of a build that knows no copies. */
const unknownProgram: readonly number[] = [126, 127]

/** @throws Refusal */
function demandGood(
  {
    exitCode,
    error,
  }: { readonly exitCode: number | undefined; readonly error: string | undefined },
  said: string,
  asked: string,
  path: string,
): void {
  if (exitCode === 0 && error === undefined) return
  const name = printable(asked)
  if (exitCode === 1) {
    throw new Refusal(404, `Could not find the file ${printable(path)} in container ${name}`)
  }
  const status = statuses[exitCode ?? 0]
  if (status !== undefined) throw new Refusal(status, printable(said))
  if (exitCode !== undefined && unknownProgram.includes(exitCode)) {
    const mend = 'start all agents and masters with this one'
    throw new Refusal(501, `container ${name} is where an earlier build copies no files: ${mend}`)
  }
  throw new Refusal(500, error === undefined ? 'the copy was given up' : printable(error))
}

/** An archive that breaks off ends its connection: cut short it must not look whole. */
const sendArchive = (reply: FastifyReply, bytes: AsyncGenerator<Uint8Array, void>): FastifyReply =>
  reply
    .code(200)
    .header('content-type', 'application/x-tar')
    .send(Readable.from(bytes, { objectMode: false }))

/** As fast as the agent takes it. */
async function giveArchive(session: TaskSession, body: unknown): Promise<void> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  for (let at = 0; at < bytes.length; at += inputPieceBytes) {
    session.write(bytes.subarray(at, at + inputPieceBytes))
    await session.room()
  }
  session.endInput()
}

/** Bits of a mode in Go. */
const goModes = { file: 0, directory: 2 ** 31, symlink: 2 ** 27 } as const
const goSpecial = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
] as const

/** Source: moby, `container.PathStat`. */
function pathStat(facts: z.infer<typeof Facts>): string {
  const { name, kind, mode, sizeBytes: size, modifiedAtMs, linkTarget } = facts
  const special = goSpecial.reduce((sum, [bit, go]) => sum + ((mode & bit) === 0 ? 0 : go), 0)
  const goMode = goModes[kind] + special + (mode & 0o777)
  const stat = { name, size, mode: goMode, mtime: rfc3339(modifiedAtMs), linkTarget }
  return Buffer.from(JSON.stringify(stat)).toString('base64')
}
