import type { ReplicaLimits } from '@conclave/actors'
import type { Clock } from '@conclave/kernel'
import type { Disk } from '@conclave/journal'
import type { AuditDisk, Log } from '@conclave/runtime'
import type { EtcdEngine } from './home/etcd-engine.ts'
import type { PeerWire } from './peer-wire.ts'
import type { DockerDoors } from './docker-doors.ts'

/** One master of the group and where it listens. Port 0: wherever there is room. */
export interface MasterPlace {
  readonly masterId: string
  readonly nodeId: number
  readonly host: string
  /** Where its faces listen, which speak without TLS. Default: the same. */
  readonly faceHost?: string | undefined
  readonly ports: {
    readonly peers: number
    readonly agents: number
    /** For who wants to join, or to renew its certificate. */
    readonly join: number
    readonly conclave: number
    readonly dcos: number
    readonly mesos: number
  }
}

export interface MasterOptions {
  /**
   * What the set-up prepared for this master (certificate, KEK, first identities), and where it keeps
   * its journal and its audit log. The certificate says which master it is.
   */
  readonly directory: string
  /**
   * The masters to begin with, this one among them: the founders of a new cluster, or first contacts of
   * one that goes on or that is joined. From then on the replicated records say who and where they are.
   */
  readonly masters: readonly MasterPlace[]
  /** Over which wire the masters speak to each other, all of them over the same. Default TCP. */
  readonly peerWire?: PeerWire
  /** Of a master that joins: whether it shall vote once it has caught up. Default `voter`. */
  readonly joinAs?: 'voter' | 'learner'
  /**
   * The other masters are lost for good: this one goes on as a group of its own, from what its log has, and listens to
   * none of them ever again.
   */
  readonly beginsAnew?: boolean
  /** An etcd cluster that keeps the state, for all masters the same. Default: the masters' own log. */
  readonly engine?: EtcdEngine | undefined
  readonly log?: Log
  readonly clock?: Clock
  /** Lets faces listen beyond this machine, in the clear: for where a proxy or a tunnel adds TLS. */
  readonly plainHttp?: boolean
  /** Where the docker CLI finds this master; nowhere unless given. */
  readonly docker?: DockerDoors | undefined
  /** How long one tick of Raft takes. Default 50 ms: a leader that is silent for half a second is replaced. */
  readonly tickMs?: number
  readonly replicaLimits?: Partial<ReplicaLimits>
  /** Of one secret's value. */
  readonly secretSizeBytesMax?: number
  readonly revisionsKept?: number
  /** Operators' endpoints leak as Mesos' do, for lessons (reference mesos.md §21). Default false. */
  readonly faithfulLeaks?: boolean
  /** How much of the disk one segment of the journal reserves. */
  readonly segmentSizeBytes?: number
  /** What stands for this machine's disk, such as one that fails. */
  readonly disks?: {
    readonly journal?: Disk
    /** Of an audit log that is empty. */
    readonly audit?: AuditDisk
  }
}
