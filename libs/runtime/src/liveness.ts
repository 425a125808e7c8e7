/**
 * Notices that nothing was heard for a while. It counts turns of its timer rather than time: a
 * process that stood still itself does not blame the other side for it.
 */
export class Liveness {
  readonly #timer: NodeJS.Timeout
  #silentTurns = 0

  constructor(options: {
    readonly everyMs: number
    readonly silenceMs: number
    /** Each turn that is not yet too silent: time to show that we live. */
    readonly onTurn: () => void
    readonly onSilent: () => void
  }) {
    const turnsMax = Math.max(1, Math.ceil(options.silenceMs / options.everyMs))
    this.#timer = setInterval(() => {
      if (++this.#silentTurns > turnsMax) options.onSilent()
      else options.onTurn()
    }, options.everyMs)
  }

  heard(): void {
    this.#silentTurns = 0
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
