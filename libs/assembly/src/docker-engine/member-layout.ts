import { join } from 'node:path'
import { agentDirectory, masterDirectory, schedulerDirectory } from '../cluster/layout.ts'
import type { EngineFile } from './engine-file.ts'

/** Where the parts of one membership keep their things. */
export interface MemberLayout {
  /** Of a cluster that was founded here: what {@link prepareCluster} fills. */
  readonly cluster: string
  /** Of whom it became with the join token, or of the founder: a master, or a lone agent. */
  readonly member: string
  /** Of the agent beside a master; of a lone agent it is the same as `member`. */
  readonly agent: string
  readonly scheduler: string
}

export const founder = 'master-1'

export function layoutOf(
  directory: string,
  { directory: own, how, role }: EngineFile,
): MemberLayout {
  const root = join(directory, own)
  const cluster = join(root, 'cluster')
  if (how === 'founded') {
    return {
      cluster,
      member: masterDirectory(cluster, founder),
      agent: agentDirectory(cluster, 'agent-1'),
      scheduler: schedulerDirectory(cluster, 'scheduler-1'),
    }
  }
  const member = join(root, 'member')
  const agent = role === 'agent' ? member : join(root, 'agent')
  return { cluster, member, agent, scheduler: join(root, 'scheduler') }
}
