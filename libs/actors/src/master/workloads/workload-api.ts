import type {
  Availability,
  JobRun,
  Labels,
  NodeSettings,
  UpdateStatus,
  WorkloadSpec,
  WorkloadTask,
} from '@conclave/workloads'
import type { Caller } from '../master-api.ts'

/*
 * What shall be kept running, and on which nodes: for our own face, and for those that imitate Docker's
 * services and Marathon's apps. Any master answers. Whoever created a workload sees and changes it, and so
 * does an operator (`dcos:adminrouter:ops:mesos`, `full`).
 */

export interface WorkloadView {
  readonly id: string
  /** As it is in the spec, spelled as it came. No two have one that differs in case alone. */
  readonly name: string
  /** Whose rights its tasks have. */
  readonly owner: string
  readonly spec: WorkloadSpec
  /** What a rollback goes back to. */
  readonly previousSpec: WorkloadSpec | undefined
  /**
   * Changes with every change of what is wanted, and with no other; one counter for all objects, so it jumps.
   * Docker's `Version.Index`.
   */
  readonly version: number
  /** Tasks with another number than this are, or were, made from another template. */
  readonly templateVersion: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly update: UpdateStatus | undefined
  readonly counts: {
    /** How many shall run: replicas, or nodes that may have one. Of a job: what is left of it, as many as may run at once. */
    readonly desired: number
    readonly running: number
    /** Of those that run, how many are of the current template. */
    readonly updated: number
  }
  /** Of a job: its latest run, and how far that is. */
  readonly job: JobView | undefined
}

export interface JobView extends JobRun {
  /** How often it shall end well: completions, or nodes that have or may have one. */
  readonly total: number
  readonly completed: number
  /** In how many slots it was given up: so many restarts as the policy allows have failed. */
  readonly failed: number
}

export interface WorkloadTaskView extends Omit<WorkloadTask, 'desired'> {
  /** `complete`: it is of a job, and shall run and end well, or has. */
  readonly desired: WorkloadTask['desired'] | 'complete'
  readonly workloadName: string
  /** The spec that its template came with. */
  readonly spec: WorkloadSpec
  /** Nobody wanted its end; its desired state is shown as `shutdown` all the same. */
  readonly hasEndedByItself: boolean
  /** Changes with every change of the task. */
  readonly version: number
}

/** Something is there, has changed, or is gone (then its view is undefined). */
export type WorkloadChange =
  | { readonly kind: 'workload'; readonly id: string; readonly view: WorkloadView | undefined }
  | {
      readonly kind: 'task'
      readonly workloadId: string
      readonly id: string
      readonly view: WorkloadTaskView | undefined
    }

/** A secret that must be there, and be this one, in the moment in which a spec is kept. */
export interface NeededSecret {
  readonly path: string
  readonly id: string
}

export interface WorkloadApi {
  /**
   * Its first tasks follow by themselves. `id` is chosen by faces whose ids have a form of their own.
   * @param spec a {@link WorkloadSpecInput}: checked whole
   * @throws SpecInvalid (names the field), WorkloadExists, AccessDenied when a secret may not be read, SecretNotFound
   */
  create(
    caller: Caller,
    spec: unknown,
    options?: { readonly id?: string; readonly secrets?: readonly NeededSecret[] },
  ): Promise<WorkloadView>
  /**
   * Running tasks are replaced if the template differs, as `spec.update` says; a job is run anew, whatever differs. Name and
   * mode stay.
   * @throws WorkloadNotFound, WorkloadConflict when `expectedVersion` is not the current one, SpecInvalid, AccessDenied,
   *   SecretNotFound
   */
  update(
    caller: Caller,
    id: string,
    spec: unknown,
    options?: {
      readonly expectedVersion?: number | undefined
      readonly secrets?: readonly NeededSecret[]
    },
  ): Promise<WorkloadView>
  /** Spec and previous spec change places. @throws WorkloadNotFound, WorkloadConflict, WorkloadNoPrevious */
  rollback(
    caller: Caller,
    id: string,
    options?: { readonly expectedVersion?: number | undefined },
  ): Promise<WorkloadView>
  /** Of a replicated job: how often it shall end well. @throws WorkloadNotFound, WorkloadConflict, SpecInvalid when it is global */
  scale(
    caller: Caller,
    id: string,
    replicas: number,
    options?: { readonly expectedVersion?: number | undefined },
  ): Promise<WorkloadView>
  /** Gone at once for whoever looks; its tasks end, and are forgotten then. @throws WorkloadNotFound */
  remove(caller: Caller, id: string): Promise<void>
  /** By id or by name, in this order. @throws WorkloadNotFound */
  get(caller: Caller, idOrName: string): Promise<WorkloadView>
  /** Sorted by name. */
  list(caller: Caller): Promise<readonly WorkloadView[]>
  /**
   * Tasks, ended ones that are remembered among them: of one workload, or of all; in the order of their slots,
   * the newest first. Those of removed workloads are not listed.
   * @throws WorkloadNotFound
   */
  tasks(caller: Caller, idOrName?: string): Promise<readonly WorkloadTaskView[]>
  /** By its id, or that of the cluster's task. @throws WorkloadTaskNotFound */
  task(caller: Caller, id: string): Promise<WorkloadTaskView>
  /** What changes from now on, of what the caller may see. Many changes of one thing may be told once. */
  watch(caller: Caller, signal: AbortSignal): AsyncIterable<readonly WorkloadChange[]>
  /**
   * Names of the workloads whose current spec refers to a secret, sorted. Of everybody's, for whoever may delete
   * the secret. @throws AccessDenied
   */
  usedBy(caller: Caller, secretPath: string): Promise<readonly string[]>
}

/** An agent as a place for tasks. */
export interface NodeView extends NodeSettings {
  readonly agentId: string
  readonly hostname: string
  readonly state: 'ready' | 'disconnected' | 'down'
  readonly attributes: Labels
  readonly platform: { readonly os: string; readonly arch: string }
  readonly resources: Readonly<Record<string, { readonly total: number; readonly used: number }>>
  /** Tasks that have not ended, of anybody. */
  readonly tasks: number
  readonly registeredAtMs: number
  /** Changes whenever its settings do. 0: nobody has set any. */
  readonly version: number
}

export interface NodeChange {
  readonly availability?: Availability | undefined
  readonly role?: NodeSettings['role'] | undefined
  /** All of them: what is not named goes. */
  readonly labels?: Labels | undefined
}

/** For operators. */
export interface NodeApi {
  /** Sorted by name. @throws AccessDenied */
  list(caller: Caller): Promise<readonly NodeView[]>
  /** By name or agent id. @throws NodeNotFound, AccessDenied */
  get(caller: Caller, nameOrAgentId: string): Promise<NodeView>
  /** @throws NodeNotFound, WorkloadConflict, AccessDenied */
  update(
    caller: Caller,
    nameOrAgentId: string,
    change: NodeChange,
    options?: { readonly expectedVersion?: number | undefined },
  ): Promise<NodeView>
}
