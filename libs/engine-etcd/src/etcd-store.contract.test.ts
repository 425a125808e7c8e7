import { secretStoreContract } from '@conclave/store/contract'
import { describe, onTestFinished } from 'vitest'
import { freshPrefix, realEtcd, storeAt, whyNoEtcd } from './testing/real-etcd.ts'

describe.skipIf(whyNoEtcd !== undefined)(`EE2: three members of etcd ${whyNoEtcd ?? ''}`, () => {
  const cluster = realEtcd()

  secretStoreContract(
    'etcd',
    async () => {
      const prefix = freshPrefix()
      const open = () => {
        const store = storeAt(cluster(), prefix)
        onTestFinished(() => store.close())
        return Promise.resolve(store)
      }
      return {
        store: await open(),
        another: open,
        // etcd's clock is the real one.
        elapse: () => Promise.resolve(),
      }
    },
    { historyCount: 8 },
  )
})
