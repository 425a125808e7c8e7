import { randomBytes } from 'node:crypto'
import { TaskNotRunning, type Caller, type TaskSession } from '@conclave/actors'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { sendEmpty, sendJson } from '../answers.ts'
import { parseJson, readBody } from '../bodies.ts'
import { callerOf, simulatedImagesOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { commandAction, type ContainerEvents } from '../events/container-events.ts'
import { printable } from '../printable.ts'
import { queryOf } from '../query.ts'
import { findRunning, notRunning } from './container.ts'
import { detachKeysOf, readDetachKeys } from './detach.ts'
import { Execs, startError, type Exec, type ExecConfig } from './execs.ts'
import { hijackPlain, streamType, type Hijacked, type HijackRoute } from './hijack.ts'
import { workdirOf } from './process.ts'
import { usageOf } from './sizes.ts'
import { readSize, sizeMax } from './terminal-size.ts'
import { ignoreInput, send, sendOutput, takeInput, type SessionEnd } from './streaming.ts'
import { stdcopyFrame } from './stdcopy.ts'
import type { Duplex } from 'node:stream'

const flag = z.boolean().nullish()
const text = z.string().nullish()
const screen = z.tuple([z.int().nonnegative(), z.int().nonnegative()]).nullish()

const Wanted = z.object({
  User: text,
  Privileged: flag,
  Tty: flag,
  ConsoleSize: screen,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  DetachKeys: text,
  Env: z.array(z.string()).nullish(),
  WorkingDir: text,
  Cmd: z.array(z.string()).nullish(),
})

const Start = z.object({ Detach: flag, Tty: flag, ConsoleSize: screen })

interface Named {
  readonly Params: { readonly id: string }
}

/** What is said meanwhile is still heard. */
const hangUpMs = 1000

const usualSize = { rows: 24, columns: 80 }

/** Programs beside a container's own. Source: docker-swarm.md A5, A7. */
export class ExecRoutes {
  readonly #engine: Engine
  readonly #events: ContainerEvents
  readonly #execs = new Execs(() => randomBytes(32).toString('hex'))

  constructor(engine: Engine, events: ContainerEvents) {
    this.#engine = engine
    this.#events = events
  }

  get execs(): Execs {
    return this.#execs
  }

  readonly plugin: FastifyPluginAsync = async (app) => {
    const engine = this.#engine

    app.post<Named>('/containers/:id/exec', async (request, reply) => {
      const wanted = readBody(request, Wanted)
      const argv = commandIn(wanted)
      const caller = callerOf(engine, request)
      const container = await findRunning(engine, caller, request.params.id)
      const config = configOf(wanted, argv)
      const size = sizeOf(wanted.ConsoleSize) ?? usualSize
      const exec = this.#execs.create(container, config, size, caller.principal.uid)
      this.#did(exec, commandAction('exec_create', argv))
      return sendJson(reply, { Id: exec.id }, 201)
    })

    // Without an `Upgrade`; with one it comes by way of `hijack`.
    app.post<Named>('/exec/:id/start', async (request, reply) => {
      const start = readBody(request, Start)
      const exec = this.#execs.get(request.params.id)
      const session = await this.#start(exec, callerOf(engine, request), start)
      if (start.Detach === true) {
        endUnlessTerminal(exec, session)
        const ended = this.#toNobody(exec, session)
        await this.#demandStarted(exec, callerOf(engine, request), ended)
        return sendEmpty(reply)
      }
      await this.#serve(exec, session, hijackPlain(reply))
      return reply
    })

    app.post<Named>('/exec/:id/resize', async (request, reply) => {
      const exec = this.#execs.get(request.params.id)
      const size = readSize(queryOf(request))
      exec.size = size
      exec.session?.resize(size)
      return sendEmpty(reply)
    })

    app.get<Named>('/exec/:id/json', async (request, reply) =>
      sendJson(reply, execObject(this.#execs.get(request.params.id))),
    )
  }

  /** `POST /exec/{id}/start` of clients that want the connection. */
  readonly hijack: HijackRoute = {
    path: /^\/exec\/([^/]+)\/start$/,
    handle: async ({ asked, version, body, accept }, id = '') => {
      const start = parseJson(body, Start)
      const exec = this.#execs.get(id)
      const session = await this.#start(exec, callerOf(this.#engine, asked), start)
      await this.#serve(exec, session, accept(streamType(version, exec.config.isTty)))
    },
  }

  async #serve(exec: Exec, session: TaskSession, { socket, early }: Hijacked): Promise<void> {
    const { stdin, isTty, detachKeys } = exec.config
    if (stdin) {
      takeInput(socket, early, session, {
        detachKeys: isTty ? readDetachKeys(detachKeys) : undefined,
        // What runs goes on, and nobody hears it.
        onDetached: () => {
          this.#did(exec, 'exec_detach')
          socket.end()
        },
        onEnd: () => (isTty ? hangUpSoon(socket) : session.endInput()),
      })
    } else {
      ignoreInput(socket)
      endUnlessTerminal(exec, session)
    }
    await this.#toClient(exec, session, socket)
  }

  /** @throws Refusal */
  async #start(exec: Exec, caller: Caller, start: z.infer<typeof Start>): Promise<TaskSession> {
    const { container, config } = exec
    if (exec.state !== 'created') {
      const what = exec.state === 'ended' ? 'has already run' : 'is already running'
      throw new Refusal(409, `Error: Exec command ${exec.id} ${what}`)
    }
    exec.state = 'running'
    exec.size = sizeOf(start.ConsoleSize) ?? exec.size
    try {
      const { argv, env, user, workdir, isTty } = config
      exec.session = await this.#engine.master.tasks.exec(caller, container.task.taskId, {
        argv,
        env,
        user: user || undefined,
        workdir: workdir || workdirOf(container, simulatedImagesOf(this.#engine)),
        terminal: isTty ? exec.size : undefined,
        mustStart: true,
      })
      this.#did(exec, commandAction('exec_start', argv))
      return exec.session
    } catch (error) {
      exec.state = 'created'
      if (error instanceof TaskNotRunning) throw notRunning(container)
      throw error
    }
  }

  async #toClient(exec: Exec, session: TaskSession, socket: Duplex): Promise<void> {
    const { isTty, stdout, stderr } = exec.config
    const end = await sendOutput(session, socket, { stdout, stderr, isRaw: isTty })
    if (end.error !== undefined) {
      const line = Buffer.from(`${startError(end.error)}\r\n`)
      await send(socket, isTty ? line : stdcopyFrame('stdout', line))
    }
    // The client asks for the exit code as soon as the stream has ended.
    this.#ended(exec, end)
    socket.end()
  }

  async #toNobody(exec: Exec, session: TaskSession): Promise<SessionEnd | undefined> {
    for await (const output of session.output()) {
      if (output.kind !== 'end') continue
      this.#ended(exec, output)
      return output
    }
    return undefined
  }

  /**
   * An agent answers in the order that it is asked in: once it has said something else, it has said what could not be
   * started.
   *
   * @throws Refusal
   */
  async #demandStarted(
    { container }: Exec,
    caller: Caller,
    ended: Promise<SessionEnd | undefined>,
  ): Promise<void> {
    const answered = usageOf(this.#engine, caller, container).catch(() => undefined)
    const first = await Promise.race([ended, answered.then(() => undefined)])
    if (first?.error !== undefined) throw new Refusal(400, startError(first.error))
  }

  /** Without an exit code it was lost with its agent: killed, as far as anybody knows. */
  #ended(exec: Exec, { exitCode = 137 }: SessionEnd): void {
    exec.state = 'ended'
    exec.exitCode = exitCode
    exec.session = undefined
    this.#did(exec, 'exec_die', { exitCode: String(exitCode) })
  }

  #did(exec: Exec, action: string, more: Readonly<Record<string, string>> = {}): void {
    const { id, container, by } = exec
    this.#events.did(container, action, { execID: id, ...more }, by)
  }
}

/**
 * A terminal has no end of input: who sends no more is hung up on, and what runs goes on. Not at once as in moby
 * (`stream/attach.go`), where a program that ends right then is not heard.
 */
function hangUpSoon(socket: Duplex): void {
  const patience = setTimeout(() => socket.end(), hangUpMs)
  patience.unref()
  socket.once('finish', () => clearTimeout(patience))
}

/** A program that nobody types to reads nothing; at a terminal it waits for somebody who never comes. */
function endUnlessTerminal({ config }: Exec, session: TaskSession): void {
  if (!config.isTty) session.endInput()
}

/** @throws Refusal */
function commandIn({ Cmd }: z.infer<typeof Wanted>): readonly string[] {
  const argv = Cmd ?? []
  if (argv.length === 0 || argv[0] === '') throw new Refusal(400, 'No exec command specified')
  return argv
}

/** @throws Refusal */
function configOf(wanted: z.infer<typeof Wanted>, argv: readonly string[]): ExecConfig {
  const detachKeys = wanted.DetachKeys ?? ''
  if (detachKeysOf(detachKeys) === undefined) {
    throw new Refusal(400, `Invalid escape keys (${printable(detachKeys)}) provided`)
  }
  return {
    argv,
    env: Object.fromEntries(
      (wanted.Env ?? []).flatMap((variable) => {
        const at = variable.indexOf('=')
        return at < 1 ? [] : [[variable.slice(0, at), variable.slice(at + 1)]]
      }),
    ),
    user: wanted.User ?? '',
    workdir: wanted.WorkingDir ?? '',
    isTty: wanted.Tty ?? false,
    stdin: wanted.AttachStdin ?? false,
    stdout: wanted.AttachStdout ?? false,
    stderr: wanted.AttachStderr ?? false,
    isPrivileged: wanted.Privileged ?? false,
    detachKeys,
  }
}

function sizeOf(size: z.infer<typeof screen>): Exec['size'] | undefined {
  const [rows = 0, columns = 0] = size ?? []
  if (rows === 0 || columns === 0) return undefined
  return { rows: Math.min(rows, sizeMax), columns: Math.min(columns, sizeMax) }
}

function execObject({ id, container, config, state, exitCode }: Exec): object {
  const [entrypoint = '', ...args] = config.argv
  return {
    ID: id,
    Running: state === 'running',
    ExitCode: state === 'ended' ? exitCode : null,
    ProcessConfig: {
      tty: config.isTty,
      entrypoint,
      arguments: args,
      privileged: config.isPrivileged,
      ...(config.user !== '' && { user: config.user }),
    },
    OpenStdin: config.stdin,
    OpenStderr: config.stderr,
    OpenStdout: config.stdout,
    CanRemove: false,
    ContainerID: container.id,
    DetachKeys: config.detachKeys,
    // A simulated program is no process of this machine.
    Pid: 0,
  }
}
