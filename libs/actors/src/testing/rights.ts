import type { ResourceId } from '@conclave/model'
import { aclKey, identityChangedKey, type AclRecord } from '../master/identity/identity-records.ts'
import { encodeRecord } from '../master/record.ts'
import type { MemoryCluster } from './memory-cluster.ts'

/** Takes from everybody whatever they were allowed on `rid`, as an administrator would, and waits until all know. */
export async function revokeAll(cluster: MemoryCluster, rid: string): Promise<void> {
  const nobody: AclRecord = { description: '', users: {}, groups: {} }
  const { replica } = cluster.leader
  const { revision } = await cluster.settle(
    replica.propose({
      compare: [],
      success: [
        { do: 'put', key: aclKey(rid as ResourceId), value: encodeRecord(nobody) },
        { do: 'put', key: identityChangedKey, value: encodeRecord({ atMs: 0 }) },
      ],
    }),
  )
  await cluster.until(() => cluster.masters.every((master) => master.store.revision >= revision))
  // Whoever looks at every tick has looked.
  await cluster.round()
}
