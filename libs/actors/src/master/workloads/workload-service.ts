import type { Clock, Random } from '@conclave/kernel'
import { parseSecretPath, secretResource, type EventDraft, type SecretPath } from '@conclave/model'
import type { Compare, Op, WatchBatch } from '@conclave/store'
import {
  idInTaskId,
  idOf,
  idRandomBytes,
  nameKey,
  secretsUsedKey,
  statusKey,
  templateKey,
  workloadKey,
  isJob,
  type Mode,
  type Node,
  type Workload,
  type WorkloadSpec,
  type WorkloadStatus,
} from '@conclave/workloads'
import type { Access } from '../access.ts'
import { SecretNotFound, SpecInvalid } from '../errors.ts'
import type { Caller } from '../master-api.ts'
import { encodeRecord, type Stored } from '../record.ts'
import { decideAndCommit, isStill, type Decision, type Replicated } from '../replicated.ts'
import { operatorResource, tasksResource } from '../resources.ts'
import type { StandingSecret } from '../secret-service.ts'
import {
  WorkloadConflict,
  WorkloadExists,
  WorkloadNoPrevious,
  WorkloadNotFound,
  WorkloadTaskNotFound,
} from './errors.ts'
import type {
  NeededSecret,
  WorkloadApi,
  WorkloadChange,
  WorkloadTaskView,
  WorkloadView,
} from './workload-api.ts'
import { WorkloadChanges } from './workload-changes.ts'
import type { WorkloadRecords } from './workload-records.ts'
import { canRotateTo } from './rotation.ts'
import { parseWorkloadSpec, secretsOf } from './workload-spec.ts'
import { WorkloadViews } from './workload-views.ts'

export interface WorkloadServiceOptions {
  readonly replicated: Replicated
  readonly records: WorkloadRecords
  readonly nodes: () => readonly Node[]
  readonly secretAt: (path: string) => StandingSecret | undefined
  readonly access: Access
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
}

interface Expected {
  readonly expectedVersion?: number | undefined
  readonly secrets?: readonly NeededSecret[]
}

/** What is wanted, on any master: who may want it, and the records that say so. The leader brings it about. */
export class WorkloadService implements WorkloadApi {
  readonly #options: WorkloadServiceOptions
  readonly #replicated: Replicated
  readonly #records: WorkloadRecords
  readonly #access: Access
  readonly #views: WorkloadViews
  readonly #changes: WorkloadChanges

  constructor(options: WorkloadServiceOptions) {
    this.#options = options
    this.#replicated = options.replicated
    this.#records = options.records
    this.#access = options.access
    this.#views = new WorkloadViews(options.records, options.nodes)
    this.#changes = new WorkloadChanges({
      records: options.records,
      views: this.#views,
      access: options.access,
      maySee: (caller, workload) => this.#maySee(caller, workload),
    })
  }

  async create(
    caller: Caller,
    json: unknown,
    options: { readonly id?: string; readonly secrets?: readonly NeededSecret[] } = {},
  ): Promise<WorkloadView> {
    const { id = idOf(this.#options.random.bytes(idRandomBytes)), secrets = [] } = options
    const spec = parseWorkloadSpec(json)
    checkId(id)
    await this.#replicated.refresh()
    const key = workloadKey(id, spec)
    await this.#checkMayWant(caller, spec, key)
    await this.#access.audit(caller, 'administer', key, 'allowed')
    const nowMs = this.#options.clock.nowMs()
    const record: Workload = {
      id,
      owner: caller.principal.uid,
      spec,
      templateVersion: 1,
      templateVersionLast: 1,
      ...(isJob(spec) && { job: { iteration: 0, startedAtMs: nowMs } }),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    }
    const view = await decideAndCommit(this.#replicated, (): Decision<WorkloadView> => {
      const holder = this.#records.named(spec.name) ?? this.#records.workload(id)
      if (holder !== undefined) return { refuse: async () => new WorkloadExists(spec.name) }
      const needed = this.#standing(secrets)
      if ('missing' in needed) return { refuse: async () => new SecretNotFound(needed.missing) }
      return {
        commit: {
          compare: [
            isStill(nameKey(spec.name), undefined),
            isStill(key, undefined),
            ...needed.claims,
          ],
          success: [
            put(nameKey(spec.name), { workloadId: id }),
            put(key, record),
            put(templateKey(id, 1), { spec }),
            ...secretsUsed(undefined, spec),
          ],
        },
        committed: (modRevision) => this.#views.workload({ record, modRevision }),
      }
    })
    const { uid } = caller.principal
    this.#options.emit({ type: 'workload.created', workloadId: id, name: spec.name, uid })
    return view
  }

  async update(
    caller: Caller,
    id: string,
    json: unknown,
    options: Expected = {},
  ): Promise<WorkloadView> {
    const spec = parseWorkloadSpec(json)
    return this.#change(caller, id, options, (before) => {
      checkStays(before.spec, spec)
      return { record: withSpec(before, spec) }
    })
  }

  async rollback(caller: Caller, id: string, options: Expected = {}): Promise<WorkloadView> {
    return this.#change(caller, id, options, (before) => {
      const { spec, templateVersion, previous } = before
      if (previous === undefined) throw new WorkloadNoPrevious(spec.name)
      const startedAtMs = this.#options.clock.nowMs()
      return {
        record: { ...before, ...previous, previous: { spec, templateVersion } },
        status: {
          update: {
            state: 'rollback-started',
            message: 'manually requested rollback',
            startedAtMs,
            instances: 0,
            failures: 0,
          },
        },
      }
    })
  }

  async scale(
    caller: Caller,
    id: string,
    replicas: number,
    options: Expected = {},
  ): Promise<WorkloadView> {
    return this.#change(caller, id, options, (before) => {
      const mode = scaled(before.spec.mode, replicas)
      return { record: withSpec(before, parseWorkloadSpec({ ...before.spec, mode })) }
    })
  }

  async remove(caller: Caller, idOrName: string): Promise<void> {
    await this.#replicated.refresh()
    const { id, spec } = this.#visible(caller, idOrName).record
    const key = workloadKey(id, spec)
    await this.#access.audit(caller, 'administer', key, 'allowed')
    await decideAndCommit(this.#replicated, (): Decision<void> => {
      const known = this.#records.workload(id)
      if (known === undefined || known.record.removedAtMs !== undefined) {
        return { refuse: async () => new WorkloadNotFound(idOrName) }
      }
      const removedAtMs = this.#options.clock.nowMs()
      return {
        commit: {
          compare: [isStill(key, known)],
          success: [
            put(key, { ...known.record, removedAtMs }),
            { do: 'delete', key: nameKey(known.record.spec.name) },
          ],
        },
        committed: () => undefined,
      }
    })
    const { uid } = caller.principal
    this.#options.emit({ type: 'workload.removed', workloadId: id, name: spec.name, uid })
  }

  async get(caller: Caller, idOrName: string): Promise<WorkloadView> {
    await this.#replicated.refresh()
    return this.#views.workload(this.#visible(caller, idOrName))
  }

  async list(caller: Caller): Promise<readonly WorkloadView[]> {
    await this.#replicated.refresh()
    return this.#allVisible(caller)
      .map((workload) => this.#views.workload(workload))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async tasks(caller: Caller, idOrName?: string): Promise<readonly WorkloadTaskView[]> {
    await this.#replicated.refresh()
    const workloads =
      idOrName === undefined ? this.#allVisible(caller) : [this.#visible(caller, idOrName)]
    return workloads.flatMap(({ record }) => this.#views.tasks(record))
  }

  async task(caller: Caller, id: string): Promise<WorkloadTaskView> {
    await this.#replicated.refresh()
    const task = this.#records.task(idInTaskId(id))
    const workload = this.#records.workload(task?.record.workloadId ?? '')
    const isShown =
      task !== undefined &&
      workload !== undefined &&
      workload.record.removedAtMs === undefined &&
      this.#maySee(caller, workload.record)
    if (!isShown) throw new WorkloadTaskNotFound(id)
    return this.#views.task(workload.record, task)
  }

  watch(caller: Caller, signal: AbortSignal): AsyncIterable<readonly WorkloadChange[]> {
    return this.#changes.watch(caller, this.#access.whileValid(caller, signal))
  }

  async usedBy(caller: Caller, secretPath: string): Promise<readonly string[]> {
    await this.#replicated.refresh()
    const resource = secretResource(parseSecretPath(secretPath))
    if (!this.#access.may(caller, resource, 'delete')) {
      throw await this.#access.denied(caller, 'administer', resource, 'delete', secretPath)
    }
    return this.namesThatUse(secretPath)
  }

  // ── told ──────────────────────────────────────────────────────────────────────────────────────

  /** As {@link usedBy}, for whoever has checked the caller, by the state as it is here. */
  namesThatUse(secretPath: string): readonly string[] {
    return this.#records
      .workloads()
      .filter(({ record }) => record.removedAtMs === undefined)
      .filter(({ record }) => secretsOf(record.spec).some((path) => path === secretPath))
      .map(({ record }) => record.spec.name)
      .toSorted()
  }

  told(batch: WatchBatch): void {
    this.#changes.told(batch)
  }

  toldOfEverything(): void {
    this.#changes.toldOfEverything()
  }

  tick(): void {
    this.#changes.tick()
  }

  /** Whose rights a task of a workload has, if it is one. */
  ownerOf(taskId: string): string | undefined {
    const task = this.#records.task(idInTaskId(taskId))?.record
    if (task?.taskId !== taskId) return undefined
    return this.#records.workload(task.workloadId)?.record.owner
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────

  async #change(
    caller: Caller,
    idOrName: string,
    { expectedVersion, secrets = [] }: Expected,
    decide: (before: Workload) => { readonly record: Workload; readonly status?: WorkloadStatus },
  ): Promise<WorkloadView> {
    await this.#replicated.refresh()
    const { id, spec: before } = this.#visible(caller, idOrName).record
    const key = workloadKey(id, before)
    let isOnRecord = false
    const view = await decideAndCommit(
      this.#replicated,
      async (): Promise<Decision<WorkloadView>> => {
        const known = this.#visible(caller, id)
        if (expectedVersion !== undefined && expectedVersion !== known.modRevision) {
          const current = known.modRevision
          const what = `workload ${known.record.spec.name}`
          return { refuse: async () => new WorkloadConflict(what, expectedVersion, current) }
        }
        const { record: decided, status } = decide(known.record)
        const needed = this.#standing(secrets)
        if ('missing' in needed) return { refuse: async () => new SecretNotFound(needed.missing) }
        const record = changedAt(decided, this.#options.clock.nowMs())
        await this.#checkMayWant(caller, record.spec, key)
        if (!isOnRecord) await this.#access.audit(caller, 'administer', key, 'allowed')
        isOnRecord = true
        const { templateVersion, spec } = record
        return {
          commit: {
            compare: [isStill(key, known), ...needed.claims],
            success: [
              put(key, record),
              put(templateKey(id, templateVersion), { spec }),
              ...secretsUsed(known.record.spec, spec),
              status === undefined
                ? { do: 'delete', key: statusKey(id) }
                : put(statusKey(id), status),
            ],
          },
          committed: (modRevision) => this.#views.workload({ record, modRevision }),
        }
      },
    )
    const { uid } = caller.principal
    const { name, templateVersion } = view
    this.#options.emit({ type: 'workload.changed', workloadId: id, name, templateVersion, uid })
    return view
  }

  /** What must still be so for all of `secrets` to be there; or the path of one that is not. */
  #standing(
    secrets: readonly NeededSecret[],
  ): { readonly claims: readonly Compare[] } | { readonly missing: string } {
    const claims: Compare[] = []
    for (const { path, id } of secrets) {
      const there = this.#options.secretAt(path)
      if (there?.id !== id) return { missing: path }
      claims.push(there.claim)
    }
    return { claims }
  }

  async #checkMayWant(caller: Caller, spec: WorkloadSpec, key: string): Promise<void> {
    if (!this.#access.may(caller, tasksResource, 'create')) {
      throw await this.#access.denied(caller, 'administer', tasksResource, 'create', key)
    }
    for (const path of secretsOf(spec)) await this.#checkMayRead(caller, path)
  }

  async #checkMayRead(caller: Caller, path: SecretPath): Promise<void> {
    if (this.#access.mayRead(caller, path)) return
    throw await this.#access.denied(caller, 'administer', secretResource(path), 'read', path)
  }

  #allVisible(caller: Caller): readonly Stored<Workload>[] {
    return this.#records
      .workloads()
      .filter(({ record }) => record.removedAtMs === undefined && this.#maySee(caller, record))
  }

  /** @throws WorkloadNotFound also for what is somebody else's, or was removed */
  #visible(caller: Caller, idOrName: string): Stored<Workload> {
    const known = this.#records.workload(idOrName) ?? this.#records.named(idOrName)
    if (known?.record.removedAtMs !== undefined || !known || !this.#maySee(caller, known.record)) {
      throw new WorkloadNotFound(idOrName)
    }
    return known
  }

  #maySee(caller: Caller, { owner }: Workload): boolean {
    return owner === caller.principal.uid || this.#access.may(caller, operatorResource, 'full')
  }
}

const put = (key: string, record: unknown): Op => ({
  do: 'put',
  key,
  value: encodeRecord(record),
})

/** Whoever would remove a secret that nobody uses is told that somebody has begun to. */
function secretsUsed(before: WorkloadSpec | undefined, after: WorkloadSpec): readonly Op[] {
  const known = before === undefined ? [] : secretsOf(before)
  const hasNew = secretsOf(after).some((path) => !known.includes(path))
  return hasNew ? [{ do: 'put', key: secretsUsedKey, value: new Uint8Array(0) }] : []
}

/** @throws SpecInvalid */
function checkId(id: string): void {
  if (/^[\w-]{1,128}$/.test(id)) return
  throw new SpecInvalid('id', 'is no id: letters, digits, _ and -, at most 128 of them')
}

/** @throws SpecInvalid when something differs that cannot change */
function checkStays(before: WorkloadSpec, after: WorkloadSpec): void {
  if (before.name !== after.name) {
    throw new SpecInvalid('name', `is ${before.name} and stays so; create another workload`)
  }
  if (before.mode.kind !== after.mode.kind) {
    throw new SpecInvalid('mode', `is ${before.mode.kind} and stays so; create another workload`)
  }
}

/** @throws SpecInvalid */
function scaled(mode: Mode, replicas: number): object {
  if (mode.kind === 'replicated') return { ...mode, replicas }
  if (mode.kind === 'replicated-job') return { ...mode, completions: replicas }
  throw new SpecInvalid('replicas', `a ${mode.kind} workload has one instance on each node`)
}

/** Each change of a job is another run of it. */
const changedAt = (changed: Workload, updatedAtMs: number): Workload => {
  const { job } = changed
  if (job === undefined) return { ...changed, updatedAtMs }
  const next = { iteration: job.iteration + 1, startedAtMs: updatedAtMs }
  return { ...changed, job: next, updatedAtMs }
}

/** The tasks of two specs that agree in this can stay. */
const templateText = ({ template, forceUpdate }: WorkloadSpec): string =>
  JSON.stringify([template, forceUpdate])

function withSpec(before: Workload, spec: WorkloadSpec): Workload {
  const text = templateText(spec)
  const { templateVersion, templateVersionLast, previous } = before
  const isSame = text === templateText(before.spec) || canRotateTo(before.spec, spec)
  const isPrevious = previous !== undefined && text === templateText(previous.spec)
  const known = isSame ? templateVersion : isPrevious ? previous.templateVersion : undefined
  return {
    ...before,
    spec,
    templateVersion: known ?? templateVersionLast + 1,
    templateVersionLast: known === undefined ? templateVersionLast + 1 : templateVersionLast,
    previous: { spec: before.spec, templateVersion },
  }
}
