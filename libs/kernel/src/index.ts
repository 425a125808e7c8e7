export {
  BytesEndEarly,
  BytesMalformed,
  ByteReader,
  ByteWriter,
  hasBytesAt,
  sameBytes,
  utf8,
  utf8Text,
} from './bytes.ts'
export { ByteSlabs } from './byte-slabs.ts'
export type { Core } from './core.ts'
export { ConclaveError, InvariantViolated, invariant } from './errors.ts'
export { readJsonField, takeJsonField, writeJsonString, type JsonField } from './json-bytes.ts'
export { uuid, uuidBytes, type Clock, type Random } from './ports.ts'
export { Redacted, wipe, type RedactedBytes } from './redacted.ts'
export { trimEndOf, trimOf } from './text.ts'
