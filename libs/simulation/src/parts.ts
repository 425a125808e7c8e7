import { Replica, type ReplicaOptions } from '@conclave/actors'
import { openJournal } from '@conclave/journal'
import { defaultStoreLimits, StoreMachine, type StoreLimits } from '@conclave/store'

/** What members are made of. Tests put a broken part in, to see that somebody notices. */
export interface Parts {
  readonly openJournal: typeof openJournal
  readonly createReplica: (options: ReplicaOptions) => Replica
  readonly createStore: (limits: Partial<StoreLimits>) => StoreMachine
}

/** The very parts that live masters are made of. */
export const liveParts: Parts = {
  openJournal,
  createReplica: (options) => new Replica(options),
  createStore: (limits) => new StoreMachine({ ...defaultStoreLimits, ...limits }),
}
