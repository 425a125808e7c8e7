import { ByteReader, ByteWriter, BytesMalformed } from '@conclave/kernel'

/*
 * What a client and a store member of the benchmark say to each other, one frame (framing.ts) each:
 *
 *   request   uint id, u8 kind (1 put, 2 get), text key; of a put: bytes value
 *   answer    uint id, u8 outcome (0 done, 1 refused); of a get that is done: bytes value
 */

export type StoreRequest =
  | { readonly kind: 'put'; readonly id: number; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'get'; readonly id: number; readonly key: string }

export interface StoreAnswer {
  readonly id: number
  readonly isDone: boolean
  /** Empty but for a get. */
  readonly value: Uint8Array
}

const kinds = { put: 1, get: 2 } as const
const noBytes = new Uint8Array(0)

/** Whoever writes a frame copies its small parts at once, and so this can be used for the next one. */
const head = new ByteWriter(4096)

/** The parts of a frame, to be written at once: a value goes into it from where it lies. */
export function encodeRequest(request: StoreRequest): readonly Uint8Array[] {
  head.clear().uint(request.id).u8(kinds[request.kind]).text(request.key)
  if (request.kind === 'get') return [head.view()]
  return [head.uint(request.value.length).view(), request.value]
}

/** A value in it is a view of `bytes`. @throws BytesMalformed */
export function decodeRequest(bytes: Uint8Array): StoreRequest {
  const reader = new ByteReader(bytes)
  const id = reader.uint()
  const kind = reader.u8()
  const key = reader.text()
  if (kind === kinds.get) return { kind: 'get', id, key }
  if (kind === kinds.put) return { kind: 'put', id, key, value: reader.bytesView() }
  throw new BytesMalformed(`a request of kind ${kind}`)
}

/** The parts of a frame, to be written at once. */
export const encodeAnswer = ({ id, isDone, value }: StoreAnswer): readonly Uint8Array[] => [
  head.clear().uint(id).flag(!isDone).uint(value.length).view(),
  value,
]

/** The value in it is a view of `bytes`. @throws BytesMalformed */
export function decodeAnswer(bytes: Uint8Array): StoreAnswer {
  const reader = new ByteReader(bytes)
  return { id: reader.uint(), isDone: !reader.flag(), value: reader.bytesView() }
}

export { noBytes }
