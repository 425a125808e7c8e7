import { ContainerSpecRefused } from '@conclave/isolators'
import type { HealthCheck, TaskInfo } from '@conclave/model'
import { argumentsOf } from './command.ts'

/** One command that says whether a task is well. Times in ticks. */
export interface HealthPlan {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly delayTicks: number
  readonly intervalTicks: number
  readonly timeoutTicks: number
  /** Failures before this time has passed do not count. */
  readonly graceTicks: number
  readonly failuresMax: number
}

/**
 * The health check of a task, or nothing when it has none.
 *
 * @throws PlanRefused for a kind of check that cannot be made here: a task that is never checked must
 *   not pass for a healthy one
 */
export function healthPlanOf(
  { health_check: check }: TaskInfo,
  ticksIn: (ms: number) => number,
): HealthPlan | undefined {
  if (check === undefined) return undefined
  const { command } = check
  if (command === undefined || (check.type !== undefined && check.type !== 'COMMAND')) {
    throw new ContainerSpecRefused('only health checks of type COMMAND are supported')
  }
  const seconds = (value: number | undefined, usual: number): number =>
    ticksIn((value ?? usual) * 1000)
  const variables = command.environment?.variables ?? []
  return {
    argv: argumentsOf(command, undefined),
    env: Object.fromEntries(variables.map(({ name, value }) => [name, value ?? ''])),
    delayTicks: seconds(check.delay_seconds, usual.delaySeconds),
    intervalTicks: Math.max(1, seconds(check.interval_seconds, usual.intervalSeconds)),
    timeoutTicks: seconds(check.timeout_seconds, usual.timeoutSeconds) || Infinity,
    graceTicks: seconds(check.grace_period_seconds, usual.graceSeconds),
    failuresMax: check.consecutive_failures ?? usual.failures,
  }
}

// The defaults of the proto. Source: reference/mesos.md §2.
const usual = {
  delaySeconds: 15,
  intervalSeconds: 10,
  timeoutSeconds: 20,
  graceSeconds: 10,
  failures: 3,
} satisfies Record<string, NonNullable<HealthCheck['delay_seconds']>>

/** What follows from one more result. */
export interface HealthVerdict {
  /** What to tell; nothing when it is known already. */
  readonly healthy: boolean | undefined
  /** So many failures in a row that the task has to go. */
  readonly isOver: boolean
}

/** The health of one running task. Source: Mesos' health checker. */
export class Health {
  readonly plan: HealthPlan
  readonly #startedAtTick: number
  #nextAtTick: number
  #askedAtTick: number | undefined
  #failures = 0
  #isHealthy: boolean | undefined

  constructor(plan: HealthPlan, startedAtTick: number) {
    this.plan = plan
    this.#startedAtTick = startedAtTick
    this.#nextAtTick = startedAtTick + plan.delayTicks
  }

  /** Undefined until the first result. */
  get isHealthy(): boolean | undefined {
    return this.#isHealthy
  }

  /** What to do now: ask, give up asking, or neither. */
  tick(tick: number): 'ask' | 'give-up' | undefined {
    if (this.#askedAtTick !== undefined) {
      return tick >= this.#askedAtTick + this.plan.timeoutTicks ? 'give-up' : undefined
    }
    if (tick < this.#nextAtTick) return undefined
    this.#askedAtTick = tick
    return 'ask'
  }

  /** The result of the check that was asked for; a given-up one has failed. */
  checked(isSuccess: boolean, tick: number): HealthVerdict {
    if (this.#askedAtTick === undefined) return { healthy: undefined, isOver: false }
    this.#askedAtTick = undefined
    this.#nextAtTick = tick + this.plan.intervalTicks
    if (isSuccess) {
      this.#failures = 0
      const isNews = this.#isHealthy !== true
      this.#isHealthy = true
      return { healthy: isNews ? true : undefined, isOver: false }
    }
    // A task that was never well may still be coming up.
    const isComingUp =
      this.#isHealthy === undefined && tick < this.#startedAtTick + this.plan.graceTicks
    if (isComingUp) return { healthy: undefined, isOver: false }
    this.#failures++
    this.#isHealthy = false
    return { healthy: false, isOver: this.#failures >= this.plan.failuresMax }
  }
}
