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
