import { AgentActor, type AgentEffect } from '@conclave/actors'
import { box, boxContext } from '@conclave/crypto'
import { wipePlan } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import { AgentInfo, parseOurs, ToAgent, type FromAgent } from '@conclave/model'
import { SystemRandom } from '@conclave/runtime'
import { LogLines, ManualClock } from '@conclave/testkit'
import { fastify, type FastifyInstance, type InjectOptions } from 'fastify'
import { mesosAgentFace, mesosAgentServerOptions, type AgentFaceOptions } from '../index.ts'

export const basic = (uid: string): string =>
  `Basic ${Buffer.from(`${uid}:password`).toString('base64')}`

/** The face before an agent whose master knows `ops` and `dev`, and whose machine does all it is told. */
export class Front {
  readonly log = new LogLines()
  readonly effects: AgentEffect[] = []
  readonly asked: string[] = []
  /** Containers that are not made, so their tasks wait in line. */
  readonly held = new Set<string>()
  /** What every secret is that its tasks ask for. */
  secretValue = 'a value'
  readonly actor: AgentActor
  readonly app: FastifyInstance
  readonly key = new Redacted(utf8('a key of this test'))
  readonly #isQuiet: boolean
  #isWorking = false

  /** @param isQuiet for a long run: nothing is kept of what it logs and does */
  constructor(options: Partial<AgentFaceOptions> = {}, { isQuiet = false } = {}) {
    this.#isQuiet = isQuiet
    this.app = fastify({
      ...mesosAgentServerOptions,
      forceCloseConnections: true,
      ...(!isQuiet && { logger: { level: 'trace', stream: this.log } }),
    })
    this.actor = new AgentActor({
      agentId: undefined,
      info: parseOurs(AgentInfo, { hostname: 'box', resources: [] }),
      runtime: 'memory',
      ipAddress: '127.0.0.1',
      clock: new ManualClock(),
      random: new SystemRandom(),
      executorTokenKey: this.key,
      faithfulLeaks: options.faithfulLeaks ?? false,
      onWork: () => queueMicrotask(() => this.#work()),
    })
    void this.app.register(
      mesosAgentFace(this.actor.api, {
        authenticateExecutors: true,
        faithfulLeaks: false,
        flags: { executors: 'memory' },
        ...options,
      }),
    )
    this.tell({ kind: 'connected' })
    this.master({ type: 'registered', agentId: 'M-S0', heartbeatSeconds: 2 })
  }

  tell(input: Parameters<AgentActor['step']>[0]): void {
    this.actor.step(input)
    this.#work()
  }

  master(message: unknown): void {
    this.tell({ kind: 'message', message: ToAgent.parse(message) })
  }

  #work(): void {
    if (this.#isWorking) return
    this.#isWorking = true
    for (;;) {
      const effects = this.actor.takeEffects()
      if (effects.length === 0) break
      for (const effect of effects) this.#carryOut(effect)
    }
    this.#isWorking = false
  }

  #carryOut(effect: AgentEffect): void {
    if (!this.#isQuiet) this.effects.push(effect)
    const { actor } = this
    switch (effect.do) {
      case 'send':
        if (effect.message.type === 'ask-caller') this.#answer(effect.message)
        if (effect.message.type === 'resolve') this.#resolve(effect.message)
        return
      case 'prepare':
        wipePlan(effect.plan)
        if (this.held.has(effect.spec.containerId)) return
        return actor.step({ kind: 'prepared', containerId: effect.spec.containerId })
      case 'start':
        return actor.step({ kind: 'started', containerId: effect.containerId })
      case 'destroy': {
        const { containerId } = effect
        actor.step({ kind: 'exited', containerId, exit: { exitCode: 137, signal: 'KILL' } })
        return actor.step({ kind: 'destroyed', containerId })
      }
      case 'open-logs': {
        const { sessionId } = effect
        const chunk = { stream: 'stdout', bytes: utf8('said by the program') } as const
        actor.step({ kind: 'session-output', sessionId, chunk })
        return effect.wanted.follow ? undefined : actor.step({ kind: 'session-ended', sessionId })
      }
      default:
    }
  }

  #resolve(question: Extract<FromAgent, { type: 'resolve' }>): void {
    const { requestId, taskId, containerId, publicKey } = question
    const resolutions = question.secrets.map(({ secret }) => {
      const path = secret.reference?.name ?? `inline/${secret.value?.sealed?.id}`
      const context = boxContext({ taskId, containerId, path, version: 1 })
      const bytes = utf8(this.secretValue)
      const key = Buffer.from(publicKey, 'base64')
      const boxed = Buffer.from(box(key, new Redacted(bytes), context, new SystemRandom()))
      const sizeBytes = this.secretValue.length
      return { outcome: 'value', path, version: 1, sizeBytes, box: boxed.toString('base64') }
    })
    const message = ToAgent.parse({ type: 'resolved', requestId, resolutions })
    this.actor.step({ kind: 'message', message })
  }

  #answer({
    requestId,
    authorization,
    call,
  }: {
    requestId: string
    authorization: string
    call: string
  }): void {
    this.asked.push(call)
    const uid = ['ops', 'dev'].find((name) => basic(name) === authorization)
    const known = { outcome: 'known', uid, isOperator: uid === 'ops' }
    const answer = uid === undefined ? { outcome: 'unknown' } : known
    const message = ToAgent.parse({ type: 'caller-known', requestId, ...answer })
    this.actor.step({ kind: 'message', message })
  }

  /** Starts a custom executor `e1` of framework `f1` in container `c-<task>`, with one task. */
  launch(taskId = 't1', executorId = 'e1', task: object = {}): void {
    this.master({
      type: 'launch',
      frameworkId: 'f1',
      framework: { user: 'root', name: 'fw' },
      containerId: `c-${taskId}`,
      task: {
        name: taskId,
        task_id: { value: taskId },
        agent_id: { value: 'M-S0' },
        executor: { executor_id: { value: executorId }, command: { value: 'x' } },
        ...task,
      },
    })
  }

  /** One call, as `ops` unless its headers say otherwise. A header of '' is left out. */
  async ask(
    url: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
    method: NonNullable<InjectOptions['method']> = 'POST',
  ) {
    const all = { authorization: basic('ops'), 'content-type': 'application/json', ...headers }
    const answer = await this.app.inject({
      method,
      url,
      headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')),
      ...(body === undefined
        ? {}
        : {
            payload:
              typeof body === 'string' || Buffer.isBuffer(body)
                ? Buffer.from(body)
                : JSON.stringify(body),
          }),
    })
    const { statusCode: status, headers: answered, rawPayload: bytes } = answer
    return { status, body: answer.body, headers: answered, bytes }
  }
}
