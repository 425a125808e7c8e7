import type { Show } from '@conclave/cluster'
import { Redacted, type RedactedBytes } from '@conclave/kernel'
import { openSecrets, redactShown, toJson, type Message, type SealedValue } from '@conclave/model'
import { SecretUnreadable } from './errors.ts'
import type { ShownMessage } from './operator-api.ts'

export interface ShownMessagesOptions {
  /** Shows what upstream shows: values of inline secrets and of variables (mesos.md §21). */
  readonly faithfulLeaks: boolean
  /** The value in an inline secret's envelope. @throws SecretUnreadable */
  readonly open: (sealed: SealedValue) => RedactedBytes
}

/** Decides what of the state anybody gets to see: one place for every endpoint and stream. */
export class ShownMessages {
  readonly #options: ShownMessagesOptions

  constructor(options: ShownMessagesOptions) {
    this.#options = options
  }

  shown<T>(kind: Message<T>, message: T): ShownMessage<T> {
    if (!this.#options.faithfulLeaks) {
      return { message: redactShown(kind, message), writing: { withHidden: false } }
    }
    const opened = openSecrets(kind, message, (sealed) => this.#open(sealed))
    return { message: opened, writing: { withHidden: true } }
  }

  /** The same as JSON at once. */
  readonly show: Show = (kind, value) => {
    const { message, writing } = this.shown(kind, value)
    return toJson(kind, message, writing)
  }

  /** One that does not open, because its key is gone, is shown as empty rather than to fail all. */
  #open(sealed: SealedValue): RedactedBytes {
    try {
      return this.#options.open(sealed)
    } catch (error) {
      if (error instanceof SecretUnreadable) return new Redacted(new Uint8Array(0))
      throw error
    }
  }
}
