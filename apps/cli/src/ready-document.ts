import type { MasterAddress } from '@conclave/assembly'
import { dockerSocketIn, urlsOf } from '@conclave/assembly'
import type { LocalCluster } from './cluster/local-cluster.ts'

/** What `--ready-file` and `--json` tell: every listener, every member, and how to log in. */
export interface ReadyDocument {
  readonly clusterId: string
  readonly directory: string
  readonly mode: string
  readonly masters: readonly {
    readonly masterId: string
    readonly pid: number | undefined
    readonly directory: string
    /** Faces as URLs; the links, which speak mutual TLS, as `tls://host:port`. */
    readonly listeners: Readonly<Record<string, string>>
  }[]
  readonly agents: readonly MemberShown[]
  readonly schedulers: readonly MemberShown[]
  readonly credentials: { readonly uid: string; readonly password: string }
}

interface MemberShown {
  readonly id: string
  readonly pid: number | undefined
  readonly directory: string
  /** An agent's own, as URLs. */
  readonly listeners: Readonly<Record<string, string>>
}

/** @param arePeersCalled whether masters listen for each other, as they do over TCP and not over Redis */
export function readyDocument(
  cluster: LocalCluster,
  addresses: readonly MasterAddress[],
  arePeersCalled: boolean,
): ReadyDocument {
  const { clusterId, uid, password } = cluster.context
  const shown = (kind: string): MemberShown[] =>
    cluster.members
      .filter((member) => member.kind === kind)
      .map(({ id, directory }) => ({
        id,
        pid: cluster.pidOf(id),
        directory,
        listeners: cluster.listenersOf(id),
      }))
  return {
    clusterId,
    directory: cluster.directory,
    mode: cluster.mode,
    masters: addresses.map((address) => ({
      masterId: address.masterId,
      pid: cluster.pidOf(address.masterId),
      directory: cluster.directoryOf(address.masterId),
      listeners: {
        ...listenersOf(address, arePeersCalled),
        ...dockerListener(cluster.directoryOf(address.masterId)),
      },
    })),
    agents: shown('agent'),
    schedulers: shown('scheduler'),
    credentials: { uid, password },
  }
}

/** As `docker -H` takes it. */
function dockerListener(directory: string): { readonly docker?: string } {
  const socket = dockerSocketIn(directory, '')
  return socket === undefined ? {} : { docker: `unix://${socket.path}` }
}

function listenersOf(address: MasterAddress, arePeersCalled: boolean): Record<string, string> {
  const { masterId: _masterId, ...faces } = urlsOf(address)
  const { host, ports } = address
  return {
    ...faces,
    ...(arePeersCalled && { peers: `tls://${host}:${ports.peers}` }),
    agents: `tls://${host}:${ports.agents}`,
  }
}
