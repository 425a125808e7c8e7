import { WaitSet } from './wait-set.ts'

/** Whether whoever takes the output of a machine wants more of it now. Writers wait while it is shut. */
export class OutputGate {
  readonly room = new WaitSet()
  #isShut = false

  get isShut(): boolean {
    return this.#isShut
  }

  shut(): void {
    this.#isShut = true
  }

  open(): void {
    if (!this.#isShut) return
    this.#isShut = false
    this.room.wake()
  }
}
