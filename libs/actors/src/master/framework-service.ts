import type { ClusterCore, Show } from '@conclave/cluster'
import {
  ContainerInfo,
  mapParts,
  partsIn,
  sealSecrets,
  SchedulerCall,
  TaskInfo,
  wipeSecrets,
  type SchedulerEvent,
} from '@conclave/model'
import type { Access } from './access.ts'
import { RunNotYours, RunTaken, SecretTooLarge } from './errors.ts'
import type { Caller, FrameworkApi, FrameworkConnection, PlainAnswer } from './master-api.ts'
import { frameworksResource, tasksResource } from './resources.ts'
import type { RunService } from './run-service.ts'
import type { Term } from './term.ts'
import { WorkloadTaskNotDue } from './workloads/errors.ts'
import type { WorkloadDesk } from './workloads/workload-desk.ts'

export interface FrameworkServiceOptions {
  readonly access: Access
  readonly term: () => Term | undefined
  readonly seal: Parameters<typeof sealSecrets>[2]
  /** How a message may be written into the log. */
  readonly show: Show
  readonly onProblem: (what: string) => void
  readonly runs: Pick<RunService, 'templateOf'>
  readonly workloads: Pick<WorkloadDesk, 'templateOf'>
}

const notReady: PlainAnswer = { status: 503, body: 'Master has not finished recovery' }
const forbidden: PlainAnswer = { status: 403, body: '' }

/** Schedulers at the leader. Inline values are sealed before the cluster's core sees a call. */
export class FrameworkService implements FrameworkApi {
  readonly #options: FrameworkServiceOptions
  readonly #streams = new Map<
    string,
    { readonly connection: FrameworkConnection; readonly caller: Caller }
  >()

  constructor(options: FrameworkServiceOptions) {
    this.#options = options
  }

  subscribe(
    caller: Caller,
    call: SchedulerCall,
    connection: FrameworkConnection,
  ): PlainAnswer | undefined {
    const term = this.#options.term()
    const { core } = term ?? {}
    if (term === undefined || core === undefined) return refused(call, notReady)
    if (!this.#options.access.may(caller, frameworksResource, 'create')) {
      return refused(call, forbidden)
    }
    this.#streams.set(connection.streamId, { connection, caller })
    const answer = core.subscribe(caller.principal.uid, call, connection.streamId)
    if (answer !== undefined) this.#streams.delete(connection.streamId)
    term.flush()
    return answer
  }

  disconnected(connection: FrameworkConnection): void {
    if (!this.#streams.delete(connection.streamId)) return
    const { streamId } = connection
    this.#options.term()?.step({ kind: 'framework-disconnected', streamId })
  }

  call(caller: Caller, call: SchedulerCall, streamId: string | undefined): PlainAnswer {
    const { access, seal } = this.#options
    const term = this.#options.term()
    const { core } = term ?? {}
    if (term === undefined || core === undefined) return refused(call, notReady)
    const mayCall =
      access.may(caller, frameworksResource, 'create') &&
      (call.type !== 'ACCEPT' || access.may(caller, tasksResource, 'create'))
    if (!mayCall) return refused(call, forbidden)
    if (call.type === 'ACCEPT') this.#warnOfUnions(call)
    try {
      const sealed = sealSecrets(SchedulerCall, this.#withTemplates(core, caller, call), seal)
      return core.call(caller.principal.uid, sealed, streamId)
    } catch (error) {
      wipeSecrets(SchedulerCall, call)
      if (error instanceof SecretTooLarge) return { status: 400, body: error.message }
      if (error instanceof RunNotYours) return { status: 403, body: error.message }
      const isLate = error instanceof RunTaken || error instanceof WorkloadTaskNotDue
      if (isLate) return { status: 409, body: error.message }
      throw error
    } finally {
      term.flush()
    }
  }

  // ── the leader's part ─────────────────────────────────────────────────────────────────────────

  send(streamId: string, event: SchedulerEvent): void {
    this.#streams.get(streamId)?.connection.send(event)
  }

  close(streamId: string): void {
    const stream = this.#streams.get(streamId)
    this.#streams.delete(streamId)
    stream?.connection.close()
  }

  /** Rights have changed: who may no longer be a framework is disconnected like one that went away. */
  endForbidden(): void {
    for (const { connection, caller } of this.#streams.values()) {
      if (this.#options.access.may(caller, frameworksResource, 'create')) continue
      connection.close()
      this.disconnected(connection)
    }
  }

  /** The term is over: schedulers look for the next leader when their streams end. */
  closeAll(): void {
    for (const streamId of this.#streams.keys()) this.close(streamId)
  }

  /** As Mesos, which logs such a container whole, whatever stands in it (mesos.md §21). */
  #warnOfUnions(call: SchedulerCall): void {
    for (const container of partsIn(SchedulerCall, call, ContainerInfo)) {
      const { type, docker, mesos } = container
      if ((type === 'MESOS' ? docker : mesos) === undefined) continue
      const shown = JSON.stringify(this.#options.show(ContainerInfo, container))
      this.#options.onProblem(
        `Invalid protobuf union detected in the given ContainerInfo (${shown})`,
      )
    }
  }

  /**
   * A scheduler was never shown the values in a run's spec and cannot send them back, so the stored
   * spec is launched. It is taken whole: nobody can have a run's values given to a command of theirs.
   */
  #withTemplates(core: ClusterCore, caller: Caller, call: SchedulerCall): SchedulerCall {
    if (call.type !== 'ACCEPT') return call
    const own = call.framework_id?.value ?? ''
    const others = core.frameworks().filter(({ frameworkId }) => frameworkId !== own)
    return mapParts(SchedulerCall, call, TaskInfo, (task) => {
      const { task_id, agent_id, resources } = task
      const id = task_id.value
      const isOthers = others.some(({ frameworkId }) => core.taskOf(frameworkId, id) !== undefined)
      const { runs, workloads } = this.#options
      const template =
        runs.templateOf(caller, id, own, isOthers) ??
        workloads.templateOf(caller, id, agent_id.value, isOthers)
      if (template === undefined) return task
      wipeSecrets(TaskInfo, task)
      return { ...template, task_id, agent_id, resources }
    })
  }
}

function refused(call: SchedulerCall, answer: PlainAnswer): PlainAnswer {
  wipeSecrets(SchedulerCall, call)
  return answer
}
