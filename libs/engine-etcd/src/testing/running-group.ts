import type { EtcdCluster } from '@conclave/testkit'
import { SeededRandom } from '@conclave/testkit'
import { EtcdGroup, type EtcdGroupOptions } from '../masters/etcd-group.ts'
import { clientOf } from './real-etcd.ts'

let made = 0

/** A group as a master has it, without the master: it is told the time, and nothing else. */
export interface RunningGroup {
  readonly group: EtcdGroup
  readonly problems: string[]
  /** As a process that is killed: nothing is handed over. */
  kill(): void
}

export function startGroup(
  cluster: EtcdCluster,
  prefix: string,
  nodeId: number,
  options: Partial<EtcdGroupOptions> = {},
): RunningGroup {
  const client = options.client ?? clientOf(cluster)
  const problems: string[] = []
  const group = new EtcdGroup({
    client,
    prefix,
    nodeId,
    masterId: `master-${nodeId}`,
    masters: [1, 2, 3],
    random: new SeededRandom(Date.now() + made++),
    boot: `master-${nodeId}:${Date.now()}-${made}`,
    nowMs: () => performance.now(),
    lastTermIn: () => 0,
    admit: () => undefined,
    onFatal: (error) => problems.push(String(error)),
    onProblem: (what, error) => problems.push(`${what} ${String(error)}`),
    leaseSeconds: 2,
    ...options,
  })
  const ticks = setInterval(() => group.tick(), 20)
  group.start()
  return {
    group,
    problems,
    kill: () => {
      clearInterval(ticks)
      group.close()
      client.close()
    },
  }
}
