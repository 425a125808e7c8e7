import { ManualClock, SeededRandom } from '@conclave/testkit'
import { MemoryStore } from './testing/memory-store.ts'
import { secretStoreContract } from './testing/secret-store.contract.ts'

secretStoreContract('memory', () => {
  const clock = new ManualClock()
  const memory = new MemoryStore({ clock, random: new SeededRandom(1) })
  return Promise.resolve({
    store: memory.client(),
    another: () => Promise.resolve(memory.client()),
    elapse: (ms) => {
      clock.advance(ms)
      memory.tick()
      return Promise.resolve()
    },
  })
})
