import {
  agentsPrefix,
  TaskRecord,
  tasksIn,
  tasksPrefix,
  type RecordReader,
} from '@conclave/cluster'
import type { Clock, Random } from '@conclave/kernel'
import { uuidBytes } from '@conclave/kernel'
import {
  dropSecretValues,
  isTerminal,
  parseOurs,
  parseSecretPath,
  partsIn,
  sealSecrets,
  Secret,
  secretResource,
  TaskSpec,
  toJson,
  wipeSecrets,
  type EventDraft,
  type RunOutcome,
  type SecretPath,
} from '@conclave/model'
import type { Compare, WatchBatch } from '@conclave/store'
import { nodePrefix, taskPrefix as workloadTaskPrefix } from '@conclave/workloads'
import { Signal } from '../signal.ts'
import type { Access } from './access.ts'
import { RunNotFound, RunNotYours, RunTaken, SecretTooLarge, SpecInvalid } from './errors.ts'
import type { Caller, PendingRuns, RunApi, RunView } from './master-api.ts'
import { encodeRecord, Records, type Stored } from './record.ts'
import { decideAndCommit, isStill, type Decision, type Replicated } from './replicated.ts'
import { operatorResource, schedulingResource, tasksResource } from './resources.ts'
import { runIdOf, runKey, runPrefix, RunRecord, taskIdOf } from './run-records.ts'
import { parseSpec } from './spec.ts'

/** What else changes the list that schedulers are told. */
const tellingPrefixes = [workloadTaskPrefix, nodePrefix, agentsPrefix]

export interface RunServiceOptions {
  readonly replicated: Replicated
  readonly reader: RecordReader
  readonly access: Access
  readonly seal: (data: Parameters<Parameters<typeof sealSecrets>[2]>[0]) => {
    readonly id: string
    readonly envelope: string
  }
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  readonly secretSizeBytesMax: number
  /** What else waits for schedulers, beside runs. */
  readonly alsoPending: () => PendingRuns
  readonly sealing: {
    /** That the keyring is still the one that {@link seal} takes its key from. */
    readonly claim: () => Compare
    /** The same values under the keyring as it is now. */
    readonly reseal: (template: RunRecord['template']) => RunRecord['template']
  }
}

/** Why the cluster would not have a task at all. */
export interface TaskRefusal {
  readonly frameworkId: string
  readonly taskId: string
  readonly reason?: string | undefined
  readonly why: string
}

/** What the leader must do about a run that somebody wants to end. */
export type KillTask = (task: TaskRecord) => void

/** One-off tasks, on any master: specs are stored, and a scheduler launches them like any other task. */
export class RunService implements RunApi {
  readonly #options: RunServiceOptions
  readonly #replicated: Replicated
  readonly #access: Access
  readonly #runs: Records<RunRecord>
  readonly #tasks: Records<TaskRecord>
  readonly #specs = new WeakMap<RunRecord, unknown>()
  readonly #changed = new Signal()
  readonly #ticked = new Signal()
  /** Runs whose record may be behind their task's, and the framework of that task where it is known. */
  #due = new Map<string, string | undefined>()
  /** Why runs that wait were not launched, until that is written down. */
  readonly #refusals = new Map<string, RunOutcome>()
  #isNoting = false

  constructor(options: RunServiceOptions) {
    this.#options = options
    this.#replicated = options.replicated
    this.#access = options.access
    this.#runs = new Records(options.replicated.view, RunRecord, 16_384)
    this.#tasks = new Records(options.replicated.view, TaskRecord, 16_384)
  }

  async submit(caller: Caller, json: unknown): Promise<RunView> {
    const { clock, random, seal, emit, secretSizeBytesMax } = this.#options
    const spec = parseSpec(json, secretSizeBytesMax)
    try {
      await this.#replicated.refresh()
      const runId = Buffer.from(uuidBytes(random)).toString('hex').slice(0, 16)
      await this.#checkMaySubmit(caller, spec, runId)
      const taskId = taskIdOf(spec.task_id?.value ?? spec.name, runId)
      const sealed = sealSecrets(TaskSpec, spec, seal)
      const record: RunRecord = {
        id: runId,
        taskId,
        name: spec.name,
        template: jsonOf(sealed),
        submittedBy: caller.principal.uid,
        submittedAtMs: clock.nowMs(),
        state: 'pending',
      }
      await this.#access.audit(caller, 'administer', runKey(runId), 'allowed')
      await this.#create(record)
      emit({ type: 'run.submitted', runId, uid: record.submittedBy, taskId })
      return this.#view(record)
    } catch (error) {
      if (error instanceof SecretTooLarge) throw new SpecInvalid('the spec', error.message)
      throw error
    } finally {
      wipeSecrets(TaskSpec, spec)
    }
  }

  async get(caller: Caller, runId: string): Promise<RunView> {
    await this.#replicated.refresh()
    return this.#view(this.#visible(caller, runId).record)
  }

  async list(caller: Caller): Promise<readonly RunView[]> {
    await this.#replicated.refresh()
    return this.#runs
      .list(runPrefix)
      .filter(({ record }) => this.#maySee(caller, record))
      .map(({ record }) => this.#view(record))
      .toSorted((a, b) => a.submittedAtMs - b.submittedAtMs)
  }

  async *watch(caller: Caller, runId: string, until: AbortSignal): AsyncGenerator<RunView> {
    const signal = this.#access.whileValid(caller, until)
    await this.#replicated.refresh()
    let seen: string | undefined
    let told: string | undefined
    while (!signal.aborted) {
      const changed = this.#changed.wait(signal)
      const { record, modRevision } = this.#visible(caller, runId)
      const task = this.#taskOf(record.frameworkId, record)
      const now = `${modRevision} ${task?.modRevision ?? 0}`
      if (now !== seen) {
        seen = now
        const view = this.#view(record)
        const text = JSON.stringify(view)
        // Not every change of a record shows, as when an update was acknowledged.
        if (text !== told) yield view
        told = text
        if (view.isTerminal) return
      }
      await changed
    }
  }

  async kill(caller: Caller, runId: string): Promise<RunView> {
    await this.#replicated.refresh()
    this.#visible(caller, runId)
    await this.#access.audit(caller, 'administer', runKey(runId), 'allowed')
    const killed = await decideAndCommit(this.#replicated, (): Decision<RunRecord> => {
      const known = this.#visible(caller, runId)
      const { record } = known
      const isAsked = record.state === 'finished' || record.killRequestedAtMs !== undefined
      const next = isAsked ? record : withKill(record, this.#options.clock.nowMs())
      return {
        commit: {
          compare: [isStill(runKey(runId), known)],
          success: isAsked ? [] : [{ do: 'put', key: runKey(runId), value: encodeRecord(next) }],
        },
        committed: () => next,
      }
    })
    return this.#view(killed)
  }

  /** @throws AccessDenied at once: it is for schedulers */
  pending(caller: Caller, signal: AbortSignal): AsyncIterable<PendingRuns> {
    this.#access.demand(caller, schedulingResource, 'full')
    const pending = this.#pending(this.#access.whileValid(caller, signal))
    return this.#access.whileAllowed(caller, schedulingResource, 'full', pending)
  }

  async *#pending(signal: AbortSignal): AsyncGenerator<PendingRuns> {
    await this.#replicated.refresh()
    let seen: string | undefined
    while (!signal.aborted) {
      const changed = this.#changed.wait(signal)
      const runs = this.#runs.list(runPrefix).map(({ record }) => record)
      const waiting = runs.filter(({ state }) => state === 'pending')
      const kill = runs
        .filter(({ state, killRequestedAtMs }) => state === 'launched' && killRequestedAtMs)
        .map(({ taskId }) => ({ taskId }))
      const also = this.#options.alsoPending()
      const alsoLaunch = also.launch.map(({ taskId, agentId }) => [taskId, agentId])
      const { avoid = [] } = also
      const now = JSON.stringify([waiting.map(({ id }) => id), kill, alsoLaunch, also.kill, avoid])
      if (now !== seen) {
        seen = now
        yield {
          launch: [...this.#launchOf(waiting), ...also.launch],
          kill: [...kill, ...also.kill],
          ...(avoid.length > 0 && { avoid }),
        }
        // It tells everything each time, so a burst of changes is told once for each tick.
        await this.#ticked.wait(signal)
      } else {
        await changed
      }
    }
  }

  /** Oldest first, and without the values that are sealed in them. */
  #launchOf(waiting: readonly RunRecord[]): PendingRuns['launch'] {
    return waiting
      .toSorted((a, b) => a.submittedAtMs - b.submittedAtMs)
      .map((record) => ({ runId: record.id, taskId: record.taskId, spec: this.#specOf(record) }))
  }

  #specOf(record: RunRecord): unknown {
    const known = this.#specs.get(record)
    if (known !== undefined) return known
    const spec = toJson(TaskSpec, parseOurs(TaskSpec, record.template))
    this.#specs.set(record, spec)
    return spec
  }

  /** Who submitted the run that this is the task of, if it is of one. */
  submitterOf(taskId: string): string | undefined {
    const runId = runIdOf(taskId)
    const record = runId === '' ? undefined : this.#runs.get(runKey(runId))?.record
    return record?.taskId === taskId ? record.submittedBy : undefined
  }

  // ── the leader's part ─────────────────────────────────────────────────────────────────────────

  /**
   * The stored spec, with its sealed values, of the run that `taskId` would launch.
   *
   * @param caller who would launch it: its submitter, or a scheduler for everybody's runs
   * @param isLaunchedByOther whether a framework that is not the one that asks has such a task
   * @throws RunNotYours, and RunTaken when another framework has it already
   */
  templateOf(
    caller: Caller,
    taskId: string,
    frameworkId: string,
    isLaunchedByOther: boolean,
  ): TaskSpec | undefined {
    const runId = runIdOf(taskId)
    const record = runId === '' ? undefined : this.#runs.get(runKey(runId))?.record
    if (record?.taskId !== taskId) return undefined
    const mayLaunch =
      record.submittedBy === caller.principal.uid ||
      this.#access.may(caller, schedulingResource, 'full')
    if (!mayLaunch) throw new RunNotYours(taskId)
    const isOthers = (record.frameworkId ?? frameworkId) !== frameworkId
    if (isOthers || isLaunchedByOther) throw new RunTaken(taskId)
    return record.state === 'pending' ? parseOurs(TaskSpec, record.template) : undefined
  }

  tick(): void {
    this.#ticked.raise()
  }

  /** Something was agreed on: whoever watches looks again. */
  told({ events }: WatchBatch): void {
    let isOurs = false
    for (const { key } of events) {
      if (tellingPrefixes.some((prefix) => key.startsWith(prefix))) isOurs = true
      if (key.startsWith(runPrefix)) {
        isOurs = true
        const runId = key.slice(runPrefix.length)
        this.#due.set(runId, this.#due.get(runId))
      } else if (key.startsWith(tasksPrefix)) {
        isOurs = true
        const [frameworkId, taskId = ''] = key.slice(tasksPrefix.length).split('/')
        this.#due.set(runIdOf(taskId), frameworkId)
      }
    }
    if (isOurs) this.#changed.raise()
  }

  /** A new leader, or a restored state: every run may be behind its task. */
  toldOfEverything(): void {
    this.#refusals.clear()
    for (const { frameworkId, taskId } of tasksIn(this.#options.reader)) {
      this.#due.set(runIdOf(taskId), frameworkId)
    }
    this.#changed.raise()
  }

  /**
   * A launch was refused, and so would be the next one: the run ends with that. A refusal that was not
   * written down, because the leader is another now, comes again with the next launch.
   */
  refused({ frameworkId, taskId, reason, why }: TaskRefusal): void {
    const runId = runIdOf(taskId)
    const record = runId === '' ? undefined : this.#runs.get(runKey(runId))?.record
    // What only came too late for its offer is launched again.
    if (record?.taskId !== taskId || reason === 'REASON_INVALID_OFFERS') return
    this.#refusals.set(runId, {
      state: 'TASK_ERROR',
      ...(reason === undefined ? {} : { reason }),
      message: why,
      atMs: this.#options.clock.nowMs(),
    })
    this.#due.set(runId, frameworkId)
  }

  /** What waits may refer to secrets that its submitter may no longer read. */
  rightsChanged(): void {
    for (const { record } of this.#runs.list(runPrefix)) {
      if (record.state === 'pending') this.#due.set(record.id, this.#due.get(record.id))
    }
  }

  /** Writes down, on the leader, how the tasks of runs went. Whatever fails is tried at the next tick. */
  async note(kill: KillTask): Promise<void> {
    if (this.#isNoting || this.#due.size === 0) return
    this.#isNoting = true
    const due = this.#due
    this.#due = new Map()
    const noting = Array.from(due, async ([runId, frameworkId]) => {
      try {
        await this.#noteOne(runId, frameworkId, kill)
      } catch {
        this.#due.set(runId, frameworkId)
      }
    })
    await Promise.all(noting)
    this.#isNoting = false
  }

  async #noteOne(runId: string, ofTask: string | undefined, kill: KillTask): Promise<void> {
    const known = runId === '' ? undefined : this.#runs.get(runKey(runId))
    if (known === undefined) return
    const frameworkId = known.record.frameworkId ?? ofTask
    if (frameworkId === undefined) return this.#endIfForbidden(known)
    const task = this.#taskOf(frameworkId, known.record)?.record
    const wantsEnd = known.record.killRequestedAtMs !== undefined
    if (task !== undefined && wantsEnd && !isTerminal(task.state)) kill(task)
    const next = noted(known.record, task, this.#refusals.get(runId))
    if (next !== known.record) await this.#put(next, known)
    this.#refusals.delete(runId)
  }

  /** A run that nobody has launched ends when its submitter may no longer read what it refers to. */
  async #endIfForbidden(known: Stored<RunRecord>): Promise<void> {
    const { record } = known
    if (record.state !== 'pending') return
    const { submittedBy: uid } = record
    const by: Caller = { principal: { uid }, requestId: record.id }
    const path = referencedIn(parseOurs(TaskSpec, record.template)).find(
      (one) => !this.#access.mayRead(by, one),
    )
    if (path === undefined) return
    const outcome: RunOutcome = {
      state: 'TASK_ERROR',
      reason: 'REASON_TASK_UNAUTHORIZED',
      message: `Task is not authorized: ${uid} may no longer read secret '${path}'`,
      atMs: this.#options.clock.nowMs(),
    }
    await this.#put(finished(record, outcome), known)
  }

  /** Nothing may come under a key whose end has begun: then it is sealed again, and tried again. */
  async #create(record: RunRecord): Promise<void> {
    const { claim, reseal } = this.#options.sealing
    const key = runKey(record.id)
    await decideAndCommit(this.#replicated, (): Decision<void> => {
      const value = encodeRecord({ ...record, template: reseal(record.template) })
      return {
        commit: {
          compare: [isStill(key, undefined), claim()],
          success: [{ do: 'put', key, value }],
        },
        committed: () => undefined,
      }
    })
  }

  async #put(record: RunRecord, known: Stored<RunRecord> | undefined): Promise<void> {
    const key = runKey(record.id)
    const committed = await this.#replicated.commit({
      compare: [isStill(key, known)],
      success: [{ do: 'put', key, value: encodeRecord(record) }],
    })
    // Somebody else wrote it: what is there now is looked at again.
    if (committed === undefined) this.#due.set(record.id, record.frameworkId)
  }

  async #checkMaySubmit(caller: Caller, spec: TaskSpec, runId: string): Promise<void> {
    if (!this.#access.may(caller, tasksResource, 'create')) {
      throw await this.#access.denied(caller, 'administer', tasksResource, 'create', runKey(runId))
    }
    for (const path of referencedIn(spec)) {
      if (this.#access.mayRead(caller, path)) continue
      throw await this.#access.denied(caller, 'administer', secretResource(path), 'read', path)
    }
  }

  /** @throws RunNotFound also for what is somebody else's */
  #visible(caller: Caller, runId: string): Stored<RunRecord> {
    const known = runId === '' ? undefined : this.#runs.get(runKey(runId))
    if (known === undefined || !this.#maySee(caller, known.record)) throw new RunNotFound(runId)
    return known
  }

  #maySee(caller: Caller, { submittedBy }: RunRecord): boolean {
    return (
      submittedBy === caller.principal.uid || this.#access.may(caller, operatorResource, 'full')
    )
  }

  #taskOf(frameworkId: string | undefined, { taskId }: RunRecord): Stored<TaskRecord> | undefined {
    if (frameworkId === undefined) return undefined
    return this.#tasks.get(`${tasksPrefix}${frameworkId}/${taskId}`)
  }

  #view(record: RunRecord): RunView {
    const { id, taskId, name, submittedBy, submittedAtMs, frameworkId, outcome } = record
    const task = this.#taskOf(frameworkId, record)?.record
    const now = outcome ?? task
    return {
      runId: id,
      taskId,
      frameworkId,
      agentId: task?.agentId,
      name,
      submittedBy,
      submittedAtMs,
      state: now?.state ?? 'PENDING',
      // A task's own record may have come first; the run is over once that is written down.
      isTerminal: outcome !== undefined,
      reason: now?.reason,
      message: now?.message,
      exitCode: now?.exitCode,
    }
  }
}

function referencedIn(spec: TaskSpec): readonly SecretPath[] {
  const paths = partsIn(TaskSpec, spec, Secret).flatMap(({ reference }) =>
    reference === undefined ? [] : [parseSecretPath(reference.name)],
  )
  return [...new Set(paths)]
}

/** A run that nobody has launched ends here; the task of another one is ended first. */
function withKill(record: RunRecord, nowMs: number): RunRecord {
  const asked = { ...record, killRequestedAtMs: nowMs }
  if (record.state !== 'pending') return asked
  const message = 'Killed before it was launched'
  return finished(asked, { state: 'TASK_KILLED', message, atMs: nowMs })
}

/** What has ended will not ask for its inline values again. */
function finished(record: RunRecord, outcome: RunOutcome): RunRecord {
  const template = jsonOf(dropSecretValues(TaskSpec, parseOurs(TaskSpec, record.template)))
  return { ...record, template, state: 'finished', outcome }
}

/** Our own form of a spec whose values are sealed: envelopes are part of it, and no plaintext is left. */
const jsonOf = (sealed: TaskSpec): RunRecord['template'] =>
  JSON.parse(JSON.stringify(sealed)) as RunRecord['template']

/**
 * `record` with what is known of its task, or why there is none; the same object when that says nothing
 * new.
 */
function noted(
  record: RunRecord,
  task: TaskRecord | undefined,
  refusal: RunOutcome | undefined,
): RunRecord {
  if (record.state === 'finished') return record
  if (task === undefined) {
    // A task that is there was refused a second time: the first launch counts.
    return refusal === undefined || record.state !== 'pending' ? record : finished(record, refusal)
  }
  const launched: RunRecord =
    record.state === 'launched'
      ? record
      : { ...record, state: 'launched', frameworkId: task.frameworkId }
  if (!isTerminal(task.state)) return launched
  return finished(launched, outcomeOf(task))
}

const outcomeOf = ({ state, reason, message, exitCode, updatedAtMs }: TaskRecord): RunOutcome => ({
  state,
  ...(reason === undefined ? {} : { reason }),
  ...(message === undefined ? {} : { message: message.slice(0, 4096) }),
  ...(exitCode === undefined ? {} : { exitCode }),
  atMs: updatedAtMs,
})
