import { availableParallelism } from 'node:os'
import {
  ProgramRefused,
  type AgentActor,
  type AgentEffect,
  type AgentInput,
  type Container,
  type ContainerRuntime,
  type Exec,
  type LeftFiles,
  type OutputChunk,
  type ProgramInput,
  type TaskUsage,
} from '@conclave/actors'
import { perform, replaceFiles, wipePlan } from '@conclave/isolators'
import { ConclaveError, wipe } from '@conclave/kernel'
import type { FromAgent } from '@conclave/model'
import { wipeResolved, type OutsideQuestion, type Resolved } from '@conclave/resolver'
import type { Log } from '@conclave/runtime'

/** Whoever answers references instead of the masters. */
export interface OutsideAnswerer {
  /** Calls `answer` once, later. */
  ask(question: OutsideQuestion, answer: (resolved: readonly Resolved[]) => void): void
  abandon(questionId: string): void
}

export interface AgentDriverOptions {
  readonly actor: AgentActor
  readonly runtime: ContainerRuntime
  /** For programs of frameworks that call at the agent's listener. Default: {@link runtime}. */
  readonly executorRuntime?: ContainerRuntime
  readonly send: (message: FromAgent) => void
  /** Bytes that the master, or a client of the agent's own, has not taken yet. */
  readonly waitingBytes: (sessionId: string) => number
  readonly keepAgentId: (agentId: string | undefined) => void
  readonly onStopped: () => void
  readonly log: Log
  /** There when the agent leaks as Mesos does. */
  readonly left?: LeftFiles
  /** There when the agent has a resolver module. */
  readonly outside?: OutsideAnswerer
}

/** Who has the input of a session: a program of its own, or a container's, which goes on without it. */
interface SessionProgram extends ProgramInput, Pick<Exec, 'endInput' | 'resize' | 'signal'> {
  readonly isOwn: boolean
}

interface Session {
  readonly closing: AbortController
  program: SessionProgram | undefined
  /** There while the reader of its output is too slow. */
  hold: { readonly over: Promise<void>; readonly end: () => void } | undefined
  /** What came in before the program was there. */
  readonly early: ((program: SessionProgram) => void)[]
}

type Effect<Do extends AgentEffect['do']> = Extract<AgentEffect, { do: Do }>

/** Above this, a session's output waits for the master to read: a flood must not fill this process. */
const waitingBytesMax = 4 * 1_048_576
const waitMs = 20

/** Carries out what the agent's core decides: order, and no judgement. */
export class AgentDriver {
  readonly #options: AgentDriverOptions
  readonly #containers = new Map<string, Container>()
  /** Containers whose plan is being carried out. */
  readonly #preparing = new Map<string, Container>()
  readonly #sessions = new Map<string, Session>()
  /** The health check that is under way, by container. */
  readonly #checks = new Map<string, Exec>()
  #isRunning = false
  #isCut = false
  readonly #inputs: AgentInput[] = []

  constructor(options: AgentDriverOptions) {
    this.#options = options
  }

  /** Tells the core, and does what it says. Effects may lead to inputs: those are next. */
  tell(input: AgentInput): void {
    this.#inputs.push(input)
    if (this.#isRunning || this.#isCut) return
    this.#isRunning = true
    try {
      this.#tellAll()
    } finally {
      this.#isRunning = false
    }
  }

  #tellAll(): void {
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      this.#options.actor.step(next)
      this.#carryOutAll()
    }
  }

  #carryOutAll(): void {
    for (const effect of this.#options.actor.takeEffects()) this.#carryOut(effect)
  }

  /** Does what a call to the core has left to do. */
  flush(): void {
    if (this.#isRunning || this.#isCut) return
    this.#isRunning = true
    try {
      this.#carryOutAll()
      this.#tellAll()
    } finally {
      this.#isRunning = false
    }
  }

  /** Nothing is told or done any more, and no output is kept. */
  cut(): void {
    this.#isCut = true
    this.#inputs.length = 0
    for (const { closing, hold } of this.#sessions.values()) {
      closing.abort()
      hold?.end()
    }
    this.#sessions.clear()
    for (const container of this.#containers.values()) container.forgetOutput()
    this.#containers.clear()
    this.#checks.clear()
  }

  #carryOut(effect: AgentEffect): void {
    switch (effect.do) {
      case 'send':
        return this.#options.send(effect.message)
      case 'keep-agent-id':
        return this.#options.keepAgentId(effect.agentId)
      case 'resolve-outside':
        return this.#resolveOutside(effect.question)
      case 'abandon-outside':
        return this.#options.outside?.abandon(effect.questionId)
      case 'prepare':
        return this.#prepare(effect)
      case 'abandon-prepare':
        return void this.#preparing.get(effect.containerId)?.destroy()
      case 'replace-files':
        return this.#replaceFiles(effect)
      case 'leave-file':
        return this.#leave(effect)
      case 'remove-left':
        return this.#options.left?.remove(effect.at)
      case 'start':
        return this.#start(effect.containerId)
      case 'signal':
        return this.#containers.get(effect.containerId)?.signal(effect.signal)
      case 'ask-to-end':
        return this.#containers.get(effect.containerId)?.askToEnd()
      case 'resize':
        return this.#containers.get(effect.containerId)?.resize(effect.size)
      case 'destroy':
        return this.#destroy(effect.containerId)
      case 'forget-output':
        this.#containers.get(effect.containerId)?.forgetOutput()
        this.#containers.delete(effect.containerId)
        return
      case 'check':
        return this.#check(effect)
      case 'abandon-check':
        this.#checks.get(effect.containerId)?.signal('KILL')
        this.#checks.delete(effect.containerId)
        return
      case 'open-logs':
        return this.#openLogs(effect)
      case 'open-exec':
        return this.#openExec(effect)
      case 'open-usage':
        return this.#openUsage(effect)
      case 'write-session':
        return this.#toProgram(effect.sessionId, (program) => this.#write(effect, program))
      case 'end-session-input':
        return this.#toProgram(effect.sessionId, (program) => program.endInput())
      case 'signal-session':
        return this.#toProgram(effect.sessionId, (program) => program.signal(effect.signal))
      case 'resize-session':
        return this.#toProgram(effect.sessionId, (program) => program.resize(effect.size))
      case 'hold-session':
        return this.#hold(effect)
      case 'close-session':
        return this.#closeSession(effect.sessionId)
      case 'stopped':
        return this.#options.onStopped()
    }
  }

  #resolveOutside(question: OutsideQuestion): void {
    const { questionId } = question
    this.#options.outside?.ask(question, (resolved) => {
      // Nobody is told any more, so nobody else would wipe it.
      if (this.#isCut) return wipeResolved(resolved)
      this.tell({ kind: 'resolved-outside', questionId, resolved })
    })
  }

  #prepare({ spec, plan }: Effect<'prepare'>): void {
    const { containerId } = spec
    const made = async (): Promise<void> => {
      const { executorRuntime = this.#options.runtime } = this.#options
      const runtime = spec.isExecutor === true ? executorRuntime : this.#options.runtime
      const container = await runtime.create(spec).catch((refusal: unknown) => {
        wipePlan(plan)
        throw refusal
      })
      this.#preparing.set(containerId, container)
      try {
        await perform(plan, container.host)
      } catch (failure) {
        await container.destroy()
        container.forgetOutput()
        throw failure
      } finally {
        this.#preparing.delete(containerId)
      }
      this.#containers.set(containerId, container)
    }
    this.#answer(made(), (failure) => ({ kind: 'prepared', containerId, ...failure }))
  }

  #replaceFiles({ containerId, rotation, files }: Effect<'replace-files'>): void {
    const replaced = async (): Promise<void> => {
      const container = this.#containers.get(containerId)
      if (container !== undefined) return replaceFiles(files, container.host)
      for (const { bytes } of files) wipe(bytes)
      throw new Error(`no container ${containerId}`)
    }
    this.#answer(replaced(), (failure) => ({
      kind: 'files-replaced',
      containerId,
      rotation,
      ...failure,
    }))
  }

  #leave({ at, bytes, mode }: Effect<'leave-file'>): void {
    try {
      this.#options.left?.write(at, bytes, mode)
    } finally {
      wipe(bytes)
    }
  }

  #start(containerId: string): void {
    const started = async (): Promise<void> => {
      await this.#container(containerId).start((exit) =>
        this.tell({ kind: 'exited', containerId, exit }),
      )
    }
    this.#answer(started(), (failure) => ({ kind: 'started', containerId, ...failure }))
  }

  #destroy(containerId: string): void {
    const destroyed = async (): Promise<void> => this.#containers.get(containerId)?.destroy()
    this.#answer(destroyed(), (failure) => ({ kind: 'destroyed', containerId, ...failure }))
  }

  #check({ containerId, argv, env }: Effect<'check'>): void {
    const run = async (): Promise<void> => {
      const exec = await this.#container(containerId).exec(argv, env)
      exec.endInput()
      this.#checks.set(containerId, exec)
      const { exitCode } = await exec.exit
      // One that was abandoned has been told as failed, and another may be under way.
      if (this.#checks.get(containerId) !== exec) return
      this.#checks.delete(containerId)
      this.tell({ kind: 'checked', containerId, isSuccess: exitCode === 0 })
    }
    run().catch(() => this.tell({ kind: 'checked', containerId, isSuccess: false }))
  }

  /** Turns the end of something into an input, with the reason when it failed. */
  #answer(doing: Promise<void>, input: (failure: { failure?: string }) => AgentInput): void {
    doing.then(
      () => this.tell(input({})),
      (error: unknown) => {
        this.#options.log.warn({ error }, 'a container could not be handled')
        // Words of our own errors are made to be shown. Others may hold anything.
        const failure = error instanceof ConclaveError ? error.message : 'the runtime failed'
        this.tell(input({ failure }))
      },
    )
  }

  #container(containerId: string): Container {
    const container = this.#containers.get(containerId)
    if (container === undefined) throw new Error(`no container ${containerId}`)
    return container
  }

  // ── sessions ──────────────────────────────────────────────────────────────────────────────────

  #openLogs({ sessionId, containerId, wanted, isAttached }: Effect<'open-logs'>): void {
    const session = this.#addSession(sessionId)
    const container = this.#containers.get(containerId)
    if (container === undefined) return this.#sessionEnded(sessionId, { error: 'it is forgotten' })
    if (isAttached === true) session.program = attachedTo(container)
    const output = container.output(wanted, session.closing.signal)
    void this.#pump(sessionId, output).then(() => this.#sessionEnded(sessionId, {}))
  }

  #openExec({ sessionId, containerId, argv, env, how }: Effect<'open-exec'>): void {
    const session = this.#addSession(sessionId)
    const run = async (): Promise<void> => {
      const exec = await this.#container(containerId).exec(argv, env, how)
      const program: SessionProgram = {
        isOwn: true,
        write: (bytes) => exec.write(bytes),
        taken: () => exec.taken(),
        endInput: () => exec.endInput(),
        resize: (size) => exec.resize(size),
        signal: (name) => exec.signal(name),
      }
      session.program = program
      for (const act of session.early.splice(0)) act(program)
      await this.#pump(sessionId, exec.output(session.closing.signal))
      const { exitCode } = await exec.exit
      this.#sessionEnded(sessionId, { exitCode })
    }
    run().catch((error: unknown) => {
      const why = error instanceof ConclaveError ? error.message : 'the runtime failed'
      const code = error instanceof ProgramRefused ? { exitCode: error.exitCode } : {}
      this.#sessionEnded(sessionId, { ...code, error: why })
    })
  }

  #openUsage({ sessionId, containerId }: Effect<'open-usage'>): void {
    this.#addSession(sessionId)
    const usage = this.#containers.get(containerId)?.usage()
    if (usage === undefined) {
      return this.#sessionEnded(sessionId, { error: 'nobody measures what it uses' })
    }
    const atMs = performance.now()
    const told: TaskUsage = { ...usage, atMs, processors: availableParallelism() }
    const chunk: OutputChunk = { stream: 'stdout', bytes: Buffer.from(JSON.stringify(told)) }
    this.tell({ kind: 'session-output', sessionId, chunk })
    this.#sessionEnded(sessionId, { exitCode: 0 })
  }

  /** What the program has not read counts as not taken, so that its sender waits. */
  #write({ sessionId, bytes }: Effect<'write-session'>, program: ProgramInput): void {
    program.write(bytes)
    const sizeBytes = bytes.length
    void program.taken().then(() => this.tell({ kind: 'session-taken', sessionId, sizeBytes }))
  }

  #hold({ sessionId, isHeld }: Effect<'hold-session'>): void {
    const session = this.#sessions.get(sessionId)
    session?.hold?.end()
    if (session === undefined) return
    session.hold = isHeld ? newHold() : undefined
  }

  #addSession(sessionId: string): Session {
    const session: Session = {
      closing: new AbortController(),
      program: undefined,
      hold: undefined,
      early: [],
    }
    this.#sessions.set(sessionId, session)
    return session
  }

  async #pump(sessionId: string, output: AsyncIterable<OutputChunk>): Promise<void> {
    for await (const chunk of output) {
      this.tell({ kind: 'session-output', sessionId, chunk })
      for (let hold; (hold = this.#sessions.get(sessionId)?.hold) !== undefined;) await hold.over
      while (
        this.#options.waitingBytes(sessionId) > waitingBytesMax &&
        this.#sessions.has(sessionId)
      ) {
        await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
    }
  }

  #sessionEnded(sessionId: string, end: { exitCode?: number; error?: string }): void {
    if (this.#sessions.delete(sessionId)) this.tell({ kind: 'session-ended', sessionId, ...end })
  }

  #toProgram(sessionId: string, act: (program: SessionProgram) => void): void {
    const session = this.#sessions.get(sessionId)
    if (session?.program === undefined) session?.early.push(act)
    else act(session.program)
  }

  /** Whoever watched has gone: what was executed for it is hung up, as a terminal would do. */
  #closeSession(sessionId: string): void {
    const session = this.#sessions.get(sessionId)
    this.#sessions.delete(sessionId)
    session?.closing.abort()
    session?.hold?.end()
    if (session?.program?.isOwn !== true) return
    session.program.endInput()
    session.program.signal('HUP')
  }
}

/** A container's own program has one input for all who are attached to it: the end of one is not its end. */
const attachedTo = (container: Container): SessionProgram => ({
  isOwn: false,
  write: (bytes) => container.input?.write(bytes),
  taken: async () => container.input?.taken(),
  endInput: () => {},
  resize: (size) => container.resize(size),
  signal: (name) => container.signal(name),
})

function newHold(): NonNullable<Session['hold']> {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { over: promise, end: resolve }
}
