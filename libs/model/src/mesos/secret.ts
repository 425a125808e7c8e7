import { wipe, type RedactedBytes } from '@conclave/kernel'
import {
  boolean,
  demanded,
  enumeration,
  hidden,
  internal,
  mapParts,
  message,
  optional,
  partsIn,
  plaintext,
  required,
  text,
  type Infer,
  type Message,
} from './message.ts'

/** A value that a master has sealed: the envelope's AAD path is `inline/<id>`, its version 1. */
export const SealedValue = message('Sealed', {
  id: required(text),
  /** base64 */
  envelope: required(text),
  /** Decided when the value was last open: such bytes cannot become an environment variable. */
  containsNull: optional(boolean),
})
export type SealedValue = Infer<typeof SealedValue>

/**
 * Inline bytes of a secret: plaintext from a face until the master seals it, an envelope ever after.
 * Only our own records and messages are heard when they speak of `sealed`; a scheduler that could
 * name an envelope could have another task's value opened for it.
 */
export const SecretValue = message('Secret.Value', {
  data: demanded(plaintext),
  sealed: internal(SealedValue),
})
export type SecretValue = Infer<typeof SecretValue>

export const SecretReference = message('Secret.Reference', {
  name: required(text),
  key: optional(text),
})
export type SecretReference = Infer<typeof SecretReference>

/** Source: mesos.md §2. `value` is hidden: no endpoint writes it. */
export const Secret = message('Secret', {
  type: optional(enumeration('UNKNOWN', 'REFERENCE', 'VALUE')),
  reference: optional(SecretReference),
  value: hidden(SecretValue),
})
export type Secret = Infer<typeof Secret>

/**
 * `value` with every inline plaintext in it sealed, wherever it stood. All plaintext is wiped, also
 * when sealing one of them fails.
 */
export function sealSecrets<T>(
  kind: Message<T>,
  value: T,
  seal: (data: RedactedBytes) => { readonly id: string; readonly envelope: string },
): T {
  try {
    return mapParts(kind, value, Secret, (secret) => {
      const data = secret.value?.data
      if (data === undefined) return secret
      const containsNull = data.reveal().includes(0)
      return { ...secret, value: { sealed: { ...seal(data), containsNull } } }
    })
  } finally {
    wipeSecrets(kind, value)
  }
}

/** Wipes every inline plaintext in `value`: for calls that are refused before they are sealed. */
export function wipeSecrets<T>(kind: Message<T>, value: T): void {
  for (const secret of partsIn(kind, value, Secret)) {
    if (secret.value?.data !== undefined) wipe(secret.value.data)
  }
}

/** `value` with other envelopes for its inline secrets, where `change` has one; itself when it has none. */
export function changeSealed<T>(
  kind: Message<T>,
  value: T,
  change: (sealed: SealedValue) => string | undefined,
): T {
  return mapParts(kind, value, Secret, (secret) => {
    const sealed = secret.value?.sealed
    const envelope = sealed && change(sealed)
    if (sealed === undefined || envelope === undefined) return secret
    return { ...secret, value: { sealed: { ...sealed, envelope } } }
  })
}

/** `value` with its sealed values in plain text, as far as `open` has them. The caller wipes them. */
export function openSecrets<T>(
  kind: Message<T>,
  value: T,
  open: (sealed: SealedValue) => RedactedBytes | undefined,
): T {
  return mapParts(kind, value, Secret, (secret) => {
    const sealed = secret.value?.sealed
    const data = sealed && open(sealed)
    return data === undefined ? secret : { ...secret, value: { data } }
  })
}

/** `value` without the envelopes of its inline secrets: for what has ended, and will not ask again. */
export function dropSecretValues<T>(kind: Message<T>, value: T): T {
  return mapParts(kind, value, Secret, (secret) => {
    const { value: inline, ...rest } = secret
    return inline === undefined ? secret : rest
  })
}
