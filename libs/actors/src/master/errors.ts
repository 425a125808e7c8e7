import { ConclaveError } from '@conclave/kernel'
import type { Address } from './master-api.ts'

export { OutcomeUnknown, Unavailable } from '@conclave/store'

/** The principal's ACL does not hold what the call needs. Deny is the default. */
export class AccessDenied extends ConclaveError {
  readonly code = 'access.denied'

  constructor(uid: string, action: string, resource: string) {
    super(`user ${uid} may not ${action} ${resource}`)
  }
}

/** Too many wrong guesses from there, or at that name from there. Says nothing of whether there is such a user. */
export class LoginThrottled extends ConclaveError {
  readonly code = 'login.throttled'
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super(`too many failed logins; try again in ${retryAfterSeconds} s`)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** The call is for the leader, and this master is not it (any more). */
export class NotLeader extends ConclaveError {
  readonly code = 'cluster.not-leader'
  /** Who does, where it was found but cannot be asked. */
  readonly leader: string | undefined

  constructor(leader?: string) {
    super(
      leader === undefined
        ? 'this master does not lead'
        : `this master does not lead, and cannot ask ${leader}, which does`,
    )
    this.leader = leader
  }
}

/**
 * The masters would not be what was asked for, or could not go on as a group: nothing was changed. The
 * message is for the operator, in SwarmKit's words where it has some.
 */
export class MembershipRefused extends ConclaveError {
  readonly code = 'member.refused'
}

/** One change of the masters at a time, and another one is under way. */
export class MembershipBusy extends ConclaveError {
  readonly code = 'member.busy'

  constructor() {
    super('another change of the masters is under way; try again once it is done')
  }
}

/** Nobody answers there, or somebody who is not who should. */
export class PeerSilent extends ConclaveError {
  readonly code = 'member.silent'

  constructor(masterId: string, at: Address | undefined, cause?: unknown) {
    const place = at === undefined ? '' : ` at ${at.host}:${at.port}`
    super(`${masterId} does not answer${place}`, { cause })
  }
}

export class RunNotFound extends ConclaveError {
  readonly code = 'run.not-found'

  constructor(runId: string) {
    super(`no run ${runId}`)
  }
}

/** The task is of somebody's run, and whoever would launch it has no right to. */
export class RunNotYours extends ConclaveError {
  readonly code = 'run.not-yours'

  constructor(taskId: string) {
    super(`task ${taskId} is of a run that another user submitted`)
  }
}

/** Two schedulers heard of a run, and the other one was first. */
export class RunTaken extends ConclaveError {
  readonly code = 'run.taken'

  constructor(taskId: string) {
    super(`task ${taskId} is of a run that another framework launches`)
  }
}

export class TaskNotFound extends ConclaveError {
  readonly code = 'task.not-found'

  constructor(taskId: string) {
    super(`no task ${taskId}`)
  }
}

/** More than one task begins like this. */
export class TaskAmbiguous extends ConclaveError {
  readonly code = 'task.ambiguous'

  constructor(taskId: string, count: number) {
    super(`${count} tasks begin with ${taskId}; give more of the id`)
  }
}

/** The task has ended, or its agent cannot be reached: there is nothing to attach to. */
export class TaskNotRunning extends ConclaveError {
  readonly code = 'task.not-running'

  constructor(taskId: string) {
    super(`task ${taskId} is not running on a connected agent`)
  }
}

/** Also the answer for a version that is no longer kept. */
export class SecretNotFound extends ConclaveError {
  readonly code = 'secret.not-found'

  constructor(path: string, version?: number) {
    super(version === undefined ? `no secret ${path}` : `no version ${version} of secret ${path}`)
  }
}

/** Somebody wrote the secret's record since it was read. */
export class SecretChanged extends ConclaveError {
  readonly code = 'secret.changed'

  constructor(path: string) {
    super(`secret ${path} was changed meanwhile; read it again, then change that`)
  }
}

/** It shall go only while no workload refers to it, and some do. */
export class SecretInUse extends ConclaveError {
  readonly code = 'secret.in-use'
  /** Their names, sorted. */
  readonly workloads: readonly string[]

  constructor(path: string, workloads: readonly string[]) {
    super(`secret ${path} is in use by ${workloads.join(', ')}`)
    this.workloads = workloads
  }
}

export class SecretExists extends ConclaveError {
  readonly code = 'secret.exists'

  constructor(path: string) {
    super(`secret ${path} exists already; update it instead`)
  }
}

/** Somebody else changed the secret since the version that this update was made from. */
export class VersionConflict extends ConclaveError {
  readonly code = 'secret.version-conflict'

  constructor(path: string, expected: number, current: number) {
    super(`secret ${path} is at version ${current}, not ${expected}; read it again first`)
  }
}

export class SecretTooLarge extends ConclaveError {
  readonly code = 'secret.too-large'

  constructor(what: string, sizeBytes: number, sizeBytesMax: number) {
    super(`${what} has ${sizeBytes} bytes; at most ${sizeBytesMax} are kept`)
  }
}

/** Labels are shown and listed with the secret, so they are few and short. */
export class SecretLabelsInvalid extends ConclaveError {
  readonly code = 'secret.labels-invalid'

  constructor(fault: string) {
    super(`labels: ${fault}`)
  }
}

/** A stored envelope that is damaged, swapped, or sealed under a key that nobody has any more. */
export class SecretUnreadable extends ConclaveError {
  readonly code = 'secret.unreadable'

  constructor(path: string, cause: unknown) {
    super(`the envelope stored for ${path} does not open`, { cause })
  }
}

/** A task spec that could never run. `field` says where, in the spec's own names. */
export class SpecInvalid extends ConclaveError {
  readonly code = 'spec.invalid'
  readonly field: string

  constructor(field: string, fault: string) {
    super(`${field}: ${fault}`)
    this.field = field
  }
}
