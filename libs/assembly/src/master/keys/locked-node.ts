import { Refusal, swarmLocked, type SwarmNode } from '@conclave/faces-docker'

/** A master that waits for the unlock key, as Docker's clients see it: it cannot even be left. */
export const lockedNode = (unlock: SwarmNode['unlock']): SwarmNode => ({
  state: { is: 'locked' },
  init: async () => {
    throw swarmLocked()
  },
  join: async () => {
    throw swarmLocked()
  },
  beginAnew: async () => {
    throw swarmLocked()
  },
  leave: async () => {
    throw new Refusal(503, 'a master that is locked leaves nothing: unlock it first')
  },
  unlock,
})
