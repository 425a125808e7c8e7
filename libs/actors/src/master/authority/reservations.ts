import { z } from 'zod'
import { Unavailable } from '../errors.ts'
import { encodeRecord, Records } from '../record.ts'
import { isStill, type Replicated } from '../replicated.ts'

/** Who a master that joins will be. */
export interface Reservation {
  readonly masterId: string
  readonly nodeId: number
}

/** Ids for masters that join. What was reserved is never given again, used or not. */
export interface Reservations {
  /** @throws Unavailable, OutcomeUnknown */
  reserve(): Promise<Reservation>
}

const reservedKey = 'masters/reserved'
const ReservedRecord = z.object({ nodeId: z.int().positive() })

/** Counts on from the highest number that was ever used. */
export class CountedReservations implements Reservations {
  readonly #replicated: Replicated
  readonly #records: Records<{ readonly nodeId: number }>
  readonly #used: () => readonly number[]

  constructor(replicated: Replicated, used: () => readonly number[]) {
    this.#replicated = replicated
    this.#records = new Records(replicated.view, ReservedRecord)
    this.#used = used
  }

  async reserve(): Promise<Reservation> {
    for (let tries = 0; tries < 8; tries++) {
      const known = this.#records.get(reservedKey)
      const nodeId = Math.max(known?.record.nodeId ?? 0, ...this.#used()) + 1
      const committed = await this.#replicated.commit({
        compare: [isStill(reservedKey, known)],
        success: [{ do: 'put', key: reservedKey, value: encodeRecord({ nodeId }) }],
      })
      if (committed !== undefined) return { masterId: `master-${nodeId}`, nodeId }
      await this.#replicated.refresh()
    }
    throw new Unavailable('others kept reserving; try again')
  }
}
