import { box, boxContext } from '@conclave/crypto'
import { wipePlan } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import {
  AgentInfo,
  isTerminal,
  parseOurs,
  ToAgent,
  type FromAgent,
  type TaskState,
} from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { array, assert, integer, property } from 'fast-check'
import { expect, test } from 'vitest'
import { AgentActor } from './agent-actor.ts'
import type { AgentEffect, AgentInput } from './agent-effect.ts'

type Status = Extract<FromAgent, { type: 'status-update' }>['status']
type Question = Extract<FromAgent, { type: 'resolve' }>

const canary = 'cnry7h3kq2vx9m4tz8wn5bpd6gjr0fsl'

/**
 * A machine and a master that do whatever dice say: fail, delay, kill, hang up, forget to acknowledge,
 * answer late or twice. They keep a record of what the agent did.
 */
class Weather {
  readonly random: SeededRandom
  readonly actor: AgentActor
  /** What the agent waits for, and may get in any order. */
  readonly pending: AgentInput[] = []
  readonly questions: Question[] = []
  readonly statuses = new Map<string, Status[]>()
  readonly alive = new Set<string>()
  readonly running = new Set<string>()
  readonly faults: string[] = []
  isConnected = false
  said = ''
  #lastTask = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.actor = new AgentActor({
      agentId: 'M-S0',
      info: parseOurs(AgentInfo, { hostname: 'box', resources: [] }),
      runtime: 'memory',
      ipAddress: '10.0.0.7',
      clock: new ManualClock(),
      random: this.random,
      limits: { tickMs: 100, resolveTimeoutMs: 2000, statusRetryFirstMs: 500 },
    })
  }

  tell(input: AgentInput): void {
    this.actor.step(input)
    for (const effect of this.actor.takeEffects()) this.#carryOut(effect)
  }

  master(message: unknown): void {
    if (this.isConnected) this.tell({ kind: 'message', message: ToAgent.parse(message) })
  }

  connect(): void {
    if (this.isConnected) return
    this.isConnected = true
    this.tell({ kind: 'connected' })
    this.master({ type: 'registered', agentId: 'M-S0', heartbeatSeconds: 2 })
  }

  act(die: number): void {
    switch (die % 10) {
      case 0:
        return this.#launch()
      case 1:
        return this.connect()
      case 2:
        if (this.isConnected) this.tell({ kind: 'disconnected' })
        this.isConnected = false
        return
      case 3:
        return this.#kill(die)
      case 4:
        return this.acknowledge(die)
      case 5:
        return this.#answer(die)
      case 6:
        return this.#exit(die)
      case 7:
        return this.tell({ kind: 'tick' })
      default: {
        const [input] = this.pending.splice(die % Math.max(1, this.pending.length), 1)
        if (input !== undefined) this.tell(input)
      }
    }
  }

  /** Everything comes to its end: a master is there, processes end, what was asked is answered. */
  settle(): void {
    for (let turn = 0; turn < 100; turn++) {
      this.connect()
      for (const input of this.pending.splice(0)) this.tell(input)
      for (const containerId of this.running) this.#exitOf(containerId, 0)
      for (const taskId of this.statuses.keys()) this.#acknowledge(taskId)
      if (turn < 20) this.#answer(this.random.below(9999))
      this.tell({ kind: 'tick' })
    }
  }

  acknowledge(die: number): void {
    const taskId = [...this.statuses.keys()][die % Math.max(1, this.statuses.size)]
    if (taskId !== undefined) this.#acknowledge(taskId)
  }

  get launched(): readonly string[] {
    return Array.from({ length: this.#lastTask }, (_, index) => `t${index + 1}`)
  }

  #launch(): void {
    if (!this.isConnected) return
    const secret = { type: 'REFERENCE', reference: { name: 'dev/db' } }
    const variables = [{ name: 'DB', type: 'SECRET', secret }]
    const number = ++this.#lastTask
    this.master({
      type: 'launch',
      frameworkId: 'f1',
      containerId: `c${number}`,
      task: {
        name: 'a task',
        task_id: { value: `t${number}` },
        agent_id: { value: 'M-S0' },
        command: { value: 'true', environment: { variables } },
        ...(number % 3 === 0 ? { max_completion_time: { nanoseconds: 1e9 } } : {}),
      },
    })
  }

  #kill(die: number): void {
    const taskId = `t${1 + (die % Math.max(1, this.#lastTask))}`
    const tellKilling = die % 2 === 0
    this.master({ type: 'kill', frameworkId: 'f1', taskId, graceMs: die % 500, tellKilling })
  }

  #answer(die: number): void {
    // Not always the newest question, and not always only once.
    const question = this.questions[die % Math.max(1, this.questions.length)]
    if (question === undefined) return
    const { requestId, taskId, containerId, publicKey } = question
    const path = 'dev/db'
    const bytes = new Redacted(utf8(canary))
    const context = boxContext({ taskId, containerId, path, version: 1 })
    const sealed = box(Buffer.from(publicKey, 'base64'), bytes, context, this.random)
    const boxed = Buffer.from(sealed).toString('base64')
    const value = { outcome: 'value', path, version: 1, sizeBytes: canary.length, box: boxed }
    const refusal = { outcome: 'denied', why: 'no grant' }
    this.master({ type: 'resolved', requestId, resolutions: [die % 4 === 0 ? refusal : value] })
  }

  #exit(die: number): void {
    const containerId = [...this.running][die % Math.max(1, this.running.size)]
    if (containerId !== undefined) this.#exitOf(containerId, die % 3)
  }

  #exitOf(containerId: string, exitCode: number): void {
    this.running.delete(containerId)
    this.tell({ kind: 'exited', containerId, exit: { exitCode } })
  }

  #acknowledge(taskId: string): void {
    const uuid = this.statuses.get(taskId)?.at(-1)?.uuid
    this.master({ type: 'status-acknowledged', frameworkId: 'f1', taskId, uuid })
  }

  #carryOut(effect: AgentEffect): void {
    this.said += JSON.stringify(effect)
    switch (effect.do) {
      case 'send':
        if (!this.isConnected) this.faults.push('something was sent to nobody')
        if (effect.message.type === 'resolve') this.questions.push(effect.message)
        if (effect.message.type === 'status-update') this.#note(effect.message.status)
        return
      case 'prepare': {
        const { containerId } = effect.spec
        wipePlan(effect.plan)
        const isFailure = this.random.below(5) === 0
        if (!isFailure) this.alive.add(containerId)
        const failure = isFailure ? { failure: 'no space' } : {}
        this.pending.push({ kind: 'prepared', containerId, ...failure })
        return
      }
      case 'start': {
        const { containerId } = effect
        if (!this.alive.has(containerId))
          this.faults.push(`${containerId} is started, and not there`)
        const isFailure = this.random.below(8) === 0
        if (!isFailure) this.running.add(containerId)
        const failure = isFailure ? { failure: 'it does not start' } : {}
        this.pending.push({ kind: 'started', containerId, ...failure })
        return
      }
      case 'signal':
        if (effect.signal === 'KILL' || this.random.below(2) === 0) {
          const { containerId } = effect
          if (!this.running.delete(containerId)) return
          const exit = { exitCode: 137, signal: 'KILL' }
          this.pending.push({ kind: 'exited', containerId, exit })
        }
        return
      case 'destroy': {
        const { containerId } = effect
        if (!this.alive.delete(containerId)) this.faults.push(`${containerId} is destroyed twice`)
        if (this.running.delete(containerId)) {
          const exit = { exitCode: 137, signal: 'KILL' }
          this.pending.push({ kind: 'exited', containerId, exit })
        }
        this.pending.push({ kind: 'destroyed', containerId })
        return
      }
      default:
        return
    }
  }

  #note(status: Status): void {
    const seen = this.statuses.get(status.task_id.value) ?? []
    this.statuses.set(status.task_id.value, seen)
    if (seen.at(-1)?.uuid === status.uuid) return
    if (seen.some(({ uuid }) => uuid === status.uuid)) this.faults.push('a status came back')
    seen.push(status)
  }
}

const orderOf: Partial<Record<TaskState, number>> = {
  TASK_STARTING: 1,
  TASK_RUNNING: 2,
  TASK_KILLING: 3,
}

test('C1: whatever happens, each task has its statuses in order, and one that is the last', () => {
  assert(
    property(
      integer(),
      array(integer({ min: 0, max: 9999 }), { minLength: 50, maxLength: 300 }),
      (seed, dice) => {
        const weather = new Weather(seed)
        weather.connect()
        for (const die of dice) weather.act(die)
        weather.settle()

        expect(weather.faults).toEqual([])
        expect([weather.alive.size, weather.actor.containerCount]).toEqual([0, 0])
        expect([...weather.statuses.keys()].toSorted()).toEqual(weather.launched.toSorted())
        for (const statuses of weather.statuses.values()) {
          const order = statuses.map(({ state }) => orderOf[state] ?? 9)
          expect(order).toEqual(order.toSorted((a, b) => a - b))
          expect(statuses.filter(({ state }) => isTerminal(state))).toHaveLength(1)
        }
        expect(weather.said).not.toContain(canary)
      },
    ),
    { numRuns: 40 },
  )
})
