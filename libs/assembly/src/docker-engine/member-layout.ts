import { join } from 'node:path'
import { schedulerDirectory } from '../cluster/layout.ts'
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

/** Where they are below the membership's directory: as they were made, until its role has changed. */
export function partsOf({ how, role, masterIn, agentIn }: EngineFile): {
  readonly masterIn: string
  readonly agentIn: string
} {
  const isFounded = how === 'founded'
  const usual = role === 'agent' ? 'member' : 'agent'
  return {
    masterIn: masterIn ?? (isFounded ? `cluster/masters/${founder}` : 'member'),
    agentIn: agentIn ?? (isFounded ? 'cluster/agents/agent-1' : usual),
  }
}

export function layoutOf(directory: string, file: EngineFile): MemberLayout {
  const root = join(directory, file.directory)
  const cluster = join(root, 'cluster')
  const { masterIn, agentIn } = partsOf(file)
  return {
    cluster,
    member: join(root, masterIn),
    agent: join(root, agentIn),
    scheduler:
      file.how === 'founded' ? schedulerDirectory(cluster, 'scheduler-1') : join(root, 'scheduler'),
  }
}
