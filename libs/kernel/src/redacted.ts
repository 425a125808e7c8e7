const shown = '[redacted]'

/**
 * A value that may be held and passed on, but not shown: templates, JSON, `console`, `inspect` and
 * assertion diffs all print `[redacted]`. `git grep 'reveal('` lists every place plaintext appears.
 */
export class Redacted<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The plaintext. Keep it in the smallest scope that works, and never in a field. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return shown
  }

  toJSON(): string {
    return shown
  }

  [Symbol.toPrimitive](): string {
    return shown
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return shown
  }
}

/** The usual cargo: the bytes of a secret. They are overwritten by {@link wipe} as soon as they were used. */
export type RedactedBytes = Redacted<Uint8Array>

/** Overwrites the bytes behind `value` with zeroes. Whoever opened an envelope owes this call. */
export function wipe(value: RedactedBytes | Uint8Array): void {
  const bytes = value instanceof Redacted ? value.reveal() : value
  bytes.fill(0)
}
