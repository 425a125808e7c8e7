import { ConclaveError } from '@conclave/kernel'

/** Nothing of that id or name, or somebody else's. */
export class WorkloadNotFound extends ConclaveError {
  readonly code = 'workload.not-found'

  constructor(idOrName: string) {
    super(`no workload ${idOrName}`)
  }
}

export class WorkloadExists extends ConclaveError {
  readonly code = 'workload.exists'

  constructor(name: string) {
    super(`workload ${name} exists already; update it instead`)
  }
}

/** Somebody else changed it since the version that this change was made from. */
export class WorkloadConflict extends ConclaveError {
  readonly code = 'workload.version-conflict'

  constructor(what: string, expected: number, current: number) {
    super(`${what} is at version ${current}, not ${expected}; read it again first`)
  }
}

/** There is nothing to go back to. */
export class WorkloadNoPrevious extends ConclaveError {
  readonly code = 'workload.no-previous'

  constructor(name: string) {
    super(`workload ${name} has no spec from before; it was never updated`)
  }
}

export class WorkloadTaskNotFound extends ConclaveError {
  readonly code = 'workload.task-not-found'

  constructor(taskId: string) {
    super(`no task ${taskId} of any workload`)
  }
}

/** A scheduler would launch a task of a workload that shall not run now, or that has its place elsewhere. */
export class WorkloadTaskNotDue extends ConclaveError {
  readonly code = 'workload.task-not-due'

  constructor(taskId: string) {
    super(`task ${taskId} of a workload is not to be launched there now`)
  }
}

export class NodeNotFound extends ConclaveError {
  readonly code = 'node.not-found'

  constructor(nameOrAgentId: string) {
    super(`no node ${nameOrAgentId}`)
  }
}
