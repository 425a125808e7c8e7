import { signExecutorToken } from '@conclave/crypto'
import {
  checkContainer,
  planContainer,
  PlanRefused,
  type CheckedContainer,
  type ContainerAbilities,
} from '@conclave/isolators'
import type { RedactedBytes } from '@conclave/kernel'
import type { AgentInfo } from '@conclave/model'
import { refusalIn, wipeResolved, type Resolved, type Resolver } from '@conclave/resolver'
import type { AgentEffect } from './agent-effect.ts'
import type { AgentLimits } from './agent-options.ts'
import type { AgentSessions } from './agent-sessions.ts'
import { terminalOf, type AgentTask, type RunRequest, type TaskEnd } from './agent-task.ts'
import { argumentsOf, commandOf, environmentOf, executorVariables, userOf } from './command.ts'
import type { ContainerTree } from './container-tree.ts'
import type { Endings } from './endings.ts'
import { Health, healthPlanOf, type HealthPlan } from './health.ts'
import type { Leaks } from './leaks/leaks.ts'
import { placedIn } from './placed-secrets.ts'
import { taskKey } from './status-updates.ts'
import { endOfFailedLaunch, endOfKilledLaunch, endOfRefusedContainer } from './task-status.ts'
import type { TaskTeller } from './task-teller.ts'
import { expandedCommand, expandedFiles, hostnameOf } from './templates.ts'
import {
  collectFailure,
  launchFailure,
  shortened,
  startFailure,
  unresolvedFile,
} from './wording.ts'

export interface LaunchHost {
  readonly limits: AgentLimits
  readonly abilities: ContainerAbilities
  readonly ipAddress: string
  readonly executorTokenKey: RedactedBytes | undefined
  readonly agentId: () => string
  readonly info: () => AgentInfo
  readonly isStopping: () => boolean
  readonly tasks: Map<string, AgentTask>
  readonly containers: ContainerTree
  readonly resolver: Resolver
  /** For what was granted nothing: it reads no reference. */
  readonly values: Resolver
  /** A module of the machine answers references, and no master. */
  readonly isAskedOutside: boolean
  readonly sessions: AgentSessions
  readonly leaks: Leaks | undefined
  readonly teller: TaskTeller
  readonly endings: Endings
  readonly ticks: () => number
  readonly ticksIn: (ms: number) => number
  readonly do: (effect: AgentEffect) => void
}

type Value = Extract<Resolved, { outcome: 'value' }>

interface CheckedTask {
  readonly container: CheckedContainer
  readonly healthPlan: HealthPlan | undefined
}

/** From a container that is wanted to one that runs, or to why it never did: check, resolve, plan, prepare, start. */
export class Launches {
  readonly #host: LaunchHost

  constructor(host: LaunchHost) {
    this.#host = host
  }

  begin(request: RunRequest): AgentTask {
    const checked = this.#check(request)
    const isRefused = checked instanceof PlanRefused
    const task: AgentTask = {
      ...request,
      checked: isRefused ? undefined : checked.container,
      healthPlan: isRefused ? undefined : checked.healthPlan,
      health: undefined,
      stage: request.isWaiting === true ? 'waiting' : 'resolving',
      abandon: () => {},
      resolveAtTickMax: this.#host.ticks() + this.#host.ticksIn(this.#host.limits.resolveTimeoutMs),
      placed: [],
      isKilled: false,
      isOverdue: false,
      isUnhealthy: false,
      overdueAtTick: Infinity,
      killAtTick: Infinity,
      exit: undefined,
      end: undefined,
      waitingLogs: [],
    }
    if (request.owner === undefined) this.#host.tasks.set(taskKey(request), task)
    this.#host.containers.add(task)
    if (task.stage === 'resolving') this.#resolveOr(task, isRefused ? checked : undefined)
    return task
  }

  /** Its executor's container is there. */
  proceed(task: AgentTask): void {
    if (task.stage !== 'waiting') return
    task.stage = 'resolving'
    task.resolveAtTickMax =
      this.#host.ticks() + this.#host.ticksIn(this.#host.limits.resolveTimeoutMs)
    const checked = this.#check(task)
    this.#resolveOr(task, checked instanceof PlanRefused ? checked : undefined)
  }

  #resolveOr(task: AgentTask, refusal: PlanRefused | undefined): void {
    if (refusal !== undefined) return this.#failLaunch(task, refusal.message)
    if (this.#host.isStopping()) return this.#failLaunch(task, 'the agent is stopping')
    if (task.checked !== undefined) this.#resolve(task, task.checked)
  }

  #check({ info, command: own, container: ownContainer }: RunRequest): CheckedTask | PlanRefused {
    try {
      const ofContainer = ownContainer ?? info.container
      const command = expandedCommand(own ?? commandOf(info), ofContainer)
      const abilities = this.#host.abilities
      const container = checkContainer(command, ofContainer, abilities)
      argumentsOf(command, container.image)
      const healthPlan = healthPlanOf(info, (ms) => this.#host.ticksIn(ms))
      return { container, healthPlan }
    } catch (refusal) {
      if (refusal instanceof PlanRefused) return refusal
      throw refusal
    }
  }

  #resolve(task: AgentTask, checked: CheckedContainer): void {
    const { frameworkId, taskId, recordId: containerId } = task
    const wanted = checked.secrets.map(({ secret, purpose }) => ({ secret, purpose }))
    let isAnswered = false
    const resolver = task.isStandalone === true ? this.#host.values : this.#host.resolver
    const abandon = resolver.resolve({ frameworkId, taskId, containerId }, wanted, (resolved) => {
      isAnswered = true
      this.#resolved(task, checked, resolved)
    })
    if (!isAnswered) task.abandon = abandon
  }

  #resolved(task: AgentTask, checked: CheckedContainer, resolved: readonly Resolved[]): void {
    if (task.stage !== 'resolving') return wipeResolved(resolved)
    task.abandon = () => {}
    this.#host.leaks?.resolved(task, checked, resolved)
    const refusal = refusalIn(resolved)
    if (refusal !== undefined) {
      wipeResolved(resolved)
      const { placement, file } = checked.secrets[resolved.indexOf(refusal)] ?? {}
      // Images are provisioned by somebody else than isolators, who has no such prefix.
      const isOutside = placement?.where === 'image' || placement?.where === 'uri'
      const message = isOutside ? refusal.why : collectFailure(refusal.why)
      const isOfService = file?.object_id !== undefined
      return this.#failLaunch(task, isOfService ? unresolvedFile(file, refusal) : message)
    }
    const values = resolved.filter((one) => one.outcome === 'value')
    for (const { path, version, bytes } of values) {
      const sizeBytes = bytes.reveal().length
      this.#host.teller.tell(task, { type: 'secret.resolved', path, version, sizeBytes })
    }
    try {
      this.#prepare(task, checked, values)
    } catch (refused) {
      if (!(refused instanceof PlanRefused)) throw refused
      wipeResolved(resolved)
      this.#failLaunch(task, refused.message)
    }
  }

  /** @throws PlanRefused before anything is done */
  #prepare(task: AgentTask, checked: CheckedContainer, values: readonly Value[]): void {
    const { command, secrets } = checked
    const { containerId } = task
    const { service } = task.info.container ?? {}
    const user = userOf(command)
    const bytes = values.map((one) => one.bytes)
    const contents = expandedFiles(secrets, bytes, command, service)
    const owner = { uid: user.uid, gid: user.gid }
    const environment = this.#environmentOf(task)
    const how = { owner, environment, limits: this.#host.limits.secrets }
    const plan = planContainer(checked, how, contents)
    const placed = values.map((value, at) => ({ ...value, bytes: contents[at] ?? value.bytes }))
    task.placed = placedIn(secrets, placed, plan)
    task.stage = 'preparing'
    const helpers = this.#host.leaks?.planned(task, command, plan)
    const spec = {
      containerId,
      hostname: hostnameOf(task.info.container) ?? containerId.slice(0, 12),
      argv: argumentsOf(command, checked.image),
      command,
      user,
      ...(service?.workdir === undefined ? {} : { workdir: service.workdir }),
      ...(task.hasToken === true ? { isExecutor: true } : {}),
      ...terminalOf(task),
      ...(service?.open_stdin === true ? { hasInput: true } : {}),
      ...(helpers === undefined ? {} : { helpers }),
    }
    this.#host.do({ do: 'prepare', spec, plan })
  }

  prepared(containerId: string, failure: string | undefined): void {
    const task = this.#host.containers.get(containerId)
    if (task?.stage !== 'preparing') return
    if (failure !== undefined) {
      // Undone by whoever failed: nothing was placed, and nothing has to be destroyed.
      task.placed = []
      if (task.isKilled) return this.#host.endings.finish(task, endOfKilledLaunch)
      return this.#failLaunch(task, failure)
    }
    const { teller, leaks } = this.#host
    for (const { path, where, at, mode } of task.placed) {
      const shown = mode === undefined ? {} : { mode }
      const placed = { type: 'secret.placed', path, where, at: shortened(at), ...shown } as const
      teller.tell(task, placed)
    }
    leaks?.prepared(task)
    if (task.isKilled) return this.#host.endings.endLaunch(task)
    task.stage = 'starting'
    teller.update(task, { state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' })
    this.#host.do({ do: 'start', containerId })
  }

  started(containerId: string, failure: string | undefined): void {
    const task = this.#host.containers.get(containerId)
    if (task?.stage !== 'starting') return
    const { teller, endings, sessions, ticks, ticksIn } = this.#host
    if (failure !== undefined) {
      task.end = this.#endOfFailedStart(task, failure)
      return endings.destroy(task)
    }
    task.stage = 'running'
    teller.tell(task, { type: 'container.started' })
    // Once it was said that it is being killed, "running" would be a step back.
    if (!task.isKilled) teller.update(task, { state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR' })
    const longest = task.info.max_completion_time?.nanoseconds
    if (task.healthPlan !== undefined) task.health = new Health(task.healthPlan, ticks())
    if (longest !== undefined) task.overdueAtTick = ticks() + ticksIn(longest / 1e6)
    sessions.started(task)
    task.owner?.started()
    if (task.isKilled) endings.terminate(task)
  }

  /** Masters have so long to release its secrets. */
  tick(task: AgentTask): void {
    if (task.stage !== 'resolving' || this.#host.ticks() < task.resolveAtTickMax) return
    task.abandon()
    const seconds = this.#host.limits.resolveTimeoutMs / 1000
    const who = this.#host.isAskedOutside ? 'nobody' : 'no master'
    const why = `${who} released its secrets within ${seconds} seconds`
    this.#failLaunch(task, collectFailure(why))
  }

  #failLaunch(task: AgentTask, why: string): void {
    // A default executor says that it starts before it asks for a container.
    if (task.role === 'group-task') {
      this.#host.teller.update(task, { state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' })
    }
    this.#host.endings.finish(task, this.#endOfFailedStart(task, why))
  }

  /** Of a service in the Engine's words, for which Docker's clients look. */
  #endOfFailedStart(task: AgentTask, why: string): TaskEnd {
    const isOfService = task.info.container?.service !== undefined
    return isOfService ? endOfFailedLaunch(startFailure(why)) : endOfFailedRun(task, why)
  }

  #environmentOf({ info, frameworkId, executorId, containerId, hasToken }: AgentTask) {
    const place = {
      agentId: this.#host.agentId(),
      ipAddress: this.#host.ipAddress,
      port: this.#host.info().port ?? 5051,
    }
    const usual = new Map([
      ...environmentOf(info, frameworkId, place),
      ['MESOS_EXECUTOR_ID', executorId],
    ])
    if (hasToken !== true) return usual
    const { executorTokenKey: key } = this.#host
    const claims = { fid: frameworkId, eid: executorId, cid: containerId }
    const token = key && signExecutorToken(key, claims)
    const shutdownGraceMs = this.#host.limits.executorShutdownMs
    return new Map([...usual, ...executorVariables({ executorId, token, shutdownGraceMs })])
  }
}

/** How a container that could not be made ends whoever it was for. */
const endOfFailedRun = ({ role }: AgentTask, why: string): TaskEnd =>
  role === 'group-task' || role === 'nested'
    ? endOfRefusedContainer(why)
    : endOfFailedLaunch(launchFailure(why))
