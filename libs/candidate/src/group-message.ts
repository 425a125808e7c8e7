import { utf8 } from '@conclave/kernel'
import { parseJson } from '@conclave/runtime'
import { z } from 'zod'

/*
 * What instances say to each other, by its first byte: 0 a message of Raft, 1 JSON of theirs.
 */

export type CandidateState = 'follower' | 'candidate' | 'leader'

const GroupMessage = z.discriminatedUnion('type', [
  /** What somebody wants somebody to read. */
  z.object({
    type: z.literal('message'),
    audience: z.enum(['all', 'followers', 'leader', 'one']),
    message: z.json(),
  }),
  /** What an instance says of itself. */
  z.object({
    type: z.literal('instance'),
    meta: z.json(),
    state: z.enum(['follower', 'candidate', 'leader']),
  }),
])
export type GroupMessage = z.infer<typeof GroupMessage>

const limits = { sizeBytesMax: 1024 * 1024, depthMax: 64 }

export const ofRaft = 0
export const ofGroup = 1

export function framed(kind: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + bytes.length)
  frame[0] = kind
  frame.set(bytes, 1)
  return frame
}

export const encodeGroupMessage = (message: GroupMessage): Uint8Array =>
  framed(ofGroup, utf8(JSON.stringify(message)))

/** Of what stands behind the first byte. @throws JsonRefused, ZodError */
export const decodeGroupMessage = (bytes: Uint8Array): GroupMessage =>
  GroupMessage.parse(parseJson(bytes, limits))
