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

/** The parts of a frame: a value goes into it from where it lies. */
export function encodeRequest(request: StoreRequest): readonly Uint8Array[] {
  const head = new ByteWriter(32 + request.key.length)
    .uint(request.id)
    .u8(kinds[request.kind])
    .text(request.key)
  if (request.kind === 'get') return [head.end()]
  return [head.uint(request.value.length).end(), request.value]
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

/** The parts of a frame. */
export const encodeAnswer = ({ id, isDone, value }: StoreAnswer): readonly Uint8Array[] => [
  new ByteWriter(24).uint(id).flag(!isDone).uint(value.length).end(),
  value,
]

/** The value in it is a view of `bytes`. @throws BytesMalformed */
export function decodeAnswer(bytes: Uint8Array): StoreAnswer {
  const reader = new ByteReader(bytes)
  return { id: reader.uint(), isDone: !reader.flag(), value: reader.bytesView() }
}

export { noBytes }
