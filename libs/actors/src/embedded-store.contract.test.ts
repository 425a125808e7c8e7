import type { SecretStore } from '@conclave/store'
import { secretStoreContract } from '@conclave/store/contract'
import { SeededRandom } from '@conclave/testkit'
import { onTestFinished } from 'vitest'
import { EmbeddedStore } from './embedded-store.ts'
import { ReplicaGroup, type GroupMember } from './testing/replica-group.ts'

/** Three replicas on links and journals in memory, that go on by themselves. */
secretStoreContract(
  'embedded',
  async () => {
    const group = new ReplicaGroup(3)
    await group.elected()
    const engines = group.members.map((member) => engineOf(group, member))
    const tick = async (): Promise<void> => {
      for (const engine of engines) engine.tick()
      await group.tick()
    }
    // A new leader gives every lease one more TTL before it ends any.
    await tick()
    const over = new AbortController()
    const running = (async () => {
      while (!over.signal.aborted) {
        await group.settle()
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    onTestFinished(async () => {
      over.abort()
      await running
    })
    let opened = 0
    const another = (): Promise<SecretStore> => {
      const engine = engines[opened++ % engines.length]
      return engine === undefined
        ? Promise.reject(new Error('there is no member'))
        : Promise.resolve(engine.client())
    }
    return {
      store: await another(),
      another,
      elapse: async (ms) => {
        for (let passed = 0; passed < ms; passed += 50) await tick()
        await tick()
      },
    }
  },
  { historyCount: 20 },
)

const engineOf = (group: ReplicaGroup, { replica, store, nodeId }: GroupMember): EmbeddedStore =>
  new EmbeddedStore({ replica, store, clock: group.clock, random: new SeededRandom(nodeId) })
