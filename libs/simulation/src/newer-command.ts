import type { PeerMessage } from '@conclave/actors'
import { message, type NodeId } from '@conclave/raft'

/** The first byte of a command is its format; no build here knows this one. */
const formatOfLater = 200

/** What a follower of a newer build passes on to its leader. */
export const newerCommand = (from: NodeId, to: NodeId): PeerMessage =>
  message({
    type: 'MsgProp',
    from,
    to,
    entries: [
      { type: 'EntryNormal', term: 0, index: 0, data: Uint8Array.of(formatOfLater, 1, 2, 3) },
    ],
  })
