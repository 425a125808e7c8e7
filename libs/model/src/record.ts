import { ConclaveError, utf8Text } from '@conclave/kernel'
import type { z } from 'zod'

/*
 * A record is JSON under a key of the store, written whole, so that any master reads it with nothing
 * but its schema. It holds names, times and sealed bytes, and never a value.
 */

/** A record that does not follow its schema: written by a newer build, or damaged. */
export class RecordUnreadable extends ConclaveError {
  readonly code = 'record.unreadable'

  constructor(key: string, cause: unknown) {
    super(`the record at ${key} is not what this build writes there`, { cause })
  }
}

export function encodeRecord(record: unknown): Uint8Array {
  // From the memory that small buffers share: most records are copied into a command at once.
  const { buffer, byteOffset, length } = Buffer.from(JSON.stringify(record))
  return new Uint8Array(buffer, byteOffset, length)
}

/** @throws RecordUnreadable, which names the key and not what stands there */
export function decodeRecord<T>(schema: z.ZodType<T>, key: string, value: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(utf8Text(value)))
  } catch (cause) {
    throw new RecordUnreadable(key, cause)
  }
}
