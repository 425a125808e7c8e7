import { ConclaveError } from '@conclave/kernel'

/** gRPC's numbers for why a call failed, as far as etcd uses them. Source: grpc/doc/statuscodes.md. */
export const grpcCode = {
  ok: 0,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** etcd said no, in its own words. They name keys and limits, never a value. */
export class EtcdRefused extends ConclaveError {
  readonly code = 'etcd.refused'
  readonly grpcCode: number

  constructor(grpcStatus: number, words: string) {
    super(`etcd refused (${grpcStatus}): ${words}`)
    this.grpcCode = grpcStatus
  }

  /** Whether it may have done nevertheless what it was asked for. */
  get mayHaveHappened(): boolean {
    switch (this.grpcCode) {
      case grpcCode.unavailable:
        return !this.message.includes('no leader')
      case grpcCode.deadlineExceeded:
      case grpcCode.internal:
      case grpcCode.unknown:
        return true
      default:
        return false
    }
  }

  /** Whether another member, or the same one later, may well do it. */
  get isPassing(): boolean {
    return this.mayHaveHappened || this.grpcCode === grpcCode.unavailable || this.isCrowded
  }

  get isCrowded(): boolean {
    return (
      this.grpcCode === grpcCode.resourceExhausted && this.message.includes('too many requests')
    )
  }
}

/** The connection to one member failed, or it said nothing in time. */
export class EtcdUnreachable extends ConclaveError {
  readonly code = 'etcd.unreachable'
  /** Whether what was asked may have arrived. */
  readonly wasSent: boolean

  constructor(endpoint: string, wasSent: boolean, cause?: unknown) {
    super(`etcd at ${endpoint} does not answer`, { cause })
    this.wasSent = wasSent
  }
}

/** A message that does not follow etcd's own definition, or a number that is too large for us. */
export class EtcdMalformed extends ConclaveError {
  readonly code = 'etcd.malformed'
}

/** What the watch was to begin with is gone. */
export class EtcdCompacted extends ConclaveError {
  readonly code = 'etcd.compacted'
  readonly compactRevision: number

  constructor(compactRevision: number) {
    super(`everything up to revision ${compactRevision} was compacted`)
    this.compactRevision = compactRevision
  }
}

/** A text that does not say where an etcd cluster is. */
export class EtcdUrlInvalid extends ConclaveError {
  readonly code = 'etcd.url-invalid'
}
