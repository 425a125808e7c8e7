import { type Entry, type NodeId, type Snapshot, none } from './entry.ts'

/** Every kind of message; its position is its number. Source: reference raft.md §4.2. */
export const messageTypes = [
  'MsgHup',
  'MsgBeat',
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgForgetLeader',
] as const

export type MessageType = (typeof messageTypes)[number]

/** Local targets of asynchronous storage: what appends to the log, and what applies it. */
export const APPEND_THREAD: NodeId = Number.MAX_SAFE_INTEGER
export const APPLY_THREAD: NodeId = Number.MAX_SAFE_INTEGER - 1

/**
 * What members tell each other. Every field is always there, so that every message has one shape.
 *
 * `term` 0 marks a local or forwarded message. `logTerm` and `index` name the entry before
 * `entries`, a candidate's last entry, or the position that an answer speaks of.
 */
export interface Message {
  readonly type: MessageType
  readonly to: NodeId
  readonly from: NodeId
  readonly term: number
  readonly logTerm: number
  readonly index: number
  readonly entries: readonly Entry[]
  readonly commit: number
  readonly vote: NodeId
  readonly snapshot: Snapshot | undefined
  readonly reject: boolean
  /** The largest index at which a follower that rejects may still agree with the leader. */
  readonly rejectHint: number
  /** Of a read: the caller's mark. Of a heartbeat: the read it confirms. Of a vote: why it is asked. */
  readonly context: Uint8Array
  /** Of a storage message: what to deliver once it has been carried out. Never on the network. */
  readonly responses: readonly Message[]
}

export type MessageDraft = Pick<Message, 'type' | 'to'> & Partial<Message>

export const noBytes = new Uint8Array(0)
const noEntries: readonly Entry[] = []
const noMessages: readonly Message[] = []

/** Fills in what a draft leaves out. */
export function message(draft: MessageDraft): Message {
  return {
    type: draft.type,
    to: draft.to,
    from: draft.from ?? none,
    term: draft.term ?? 0,
    logTerm: draft.logTerm ?? 0,
    index: draft.index ?? 0,
    entries: draft.entries ?? noEntries,
    commit: draft.commit ?? 0,
    vote: draft.vote ?? none,
    snapshot: draft.snapshot,
    reject: draft.reject ?? false,
    rejectHint: draft.rejectHint ?? 0,
    context: draft.context ?? noBytes,
    responses: draft.responses ?? noMessages,
  }
}

export const isLocalTarget = (id: NodeId): boolean => id === APPEND_THREAD || id === APPLY_THREAD

/** Never accepted from the network: these say what happened on this machine. */
export function isLocalType(type: MessageType): boolean {
  switch (type) {
    case 'MsgHup':
    case 'MsgBeat':
    case 'MsgUnreachable':
    case 'MsgSnapStatus':
    case 'MsgCheckQuorum':
    case 'MsgStorageAppend':
    case 'MsgStorageAppendResp':
    case 'MsgStorageApply':
    case 'MsgStorageApplyResp':
      return true
    default:
      return false
  }
}

/** Answers, which are refused from somebody who is not in the configuration. */
export function isResponseType(type: MessageType): boolean {
  switch (type) {
    case 'MsgAppResp':
    case 'MsgVoteResp':
    case 'MsgHeartbeatResp':
    case 'MsgUnreachable':
    case 'MsgReadIndexResp':
    case 'MsgPreVoteResp':
    case 'MsgStorageAppendResp':
    case 'MsgStorageApplyResp':
      return true
    default:
      return false
  }
}

/**
 * Promises about what this member has written: they leave after the Ready they came with is on
 * disk. Everything else may leave while that write is under way.
 */
export const waitsForDisk = (type: MessageType): boolean =>
  type === 'MsgAppResp' || type === 'MsgVoteResp' || type === 'MsgPreVoteResp'
