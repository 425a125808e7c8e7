import { decodeConfChange } from '../codec.ts'
import { asV2, type ConfChange } from '../conf-change.ts'
import {
  none,
  type ConfState,
  type Entry,
  type HardState,
  type NodeId,
  type Snapshot,
} from '../entry.ts'
import { APPEND_THREAD, APPLY_THREAD, type Message } from '../message.ts'

// Exact renderings, as transcripts of the data-driven tests have them. Source: reference raft.md §5.3.

export function describeHardState(state: HardState): string {
  const vote = state.vote === none ? '' : ` Vote:${state.vote}`
  return `Term:${state.term}${vote} Commit:${state.commit}`
}

export function describeConfState(state: ConfState): string {
  return [
    `Voters:[${list(state.voters)}]`,
    `VotersOutgoing:[${list(state.votersOutgoing)}]`,
    `Learners:[${list(state.learners)}]`,
    `LearnersNext:[${list(state.learnersNext)}]`,
    `AutoLeave:${state.autoLeave}`,
  ].join(' ')
}

export function describeSnapshot({ meta }: Snapshot): string {
  return `Index:${meta.index} Term:${meta.term} ConfState:${describeConfState(meta.confState)}`
}

export function describeEntry(entry: Entry): string {
  const head = `${entry.term}/${entry.index} ${entry.type}`
  if (entry.type === 'EntryNormal') return `${head} ${quote(entry.data)}`
  const changes = describeChanges(decodeConfChange(entry.data))
  return changes === '' ? head : `${head} ${changes}`
}

const list = (ids: readonly NodeId[]): string => ids.join(' ')

const changeLetters = {
  ConfChangeAddNode: 'v',
  ConfChangeAddLearnerNode: 'l',
  ConfChangeRemoveNode: 'r',
  ConfChangeUpdateNode: 'u',
} as const

/** `v2 l3 r1`, the form in which the tests write changes. */
const describeChanges = (change: ConfChange): string =>
  asV2(change)
    .changes.map(({ type, nodeId }) => `${changeLetters[type]}${nodeId}`)
    .join(' ')

/** Lines after the first are indented by `indent` and more. */
export function describeMessage(one: Message, indent = ''): string {
  let text =
    `${indent}${describeTarget(one.from)}->${describeTarget(one.to)} ${one.type} ` +
    `Term:${one.term} Log:${one.logTerm}/${one.index}`
  if (one.reject) text += ` Rejected (Hint: ${one.rejectHint})`
  if (one.commit !== 0) text += ` Commit:${one.commit}`
  if (one.vote !== none) text += ` Vote:${one.vote}`
  const entries = one.entries.map(describeEntry)
  if (entries.length === 1) text += ` Entries:[${entries[0]}]`
  if (entries.length > 1) {
    text += ` Entries:[\n${indent}  ${entries.join(`\n${indent}  `)}\n${indent}]`
  }
  if (one.snapshot !== undefined) text += `\n${indent}  Snapshot: ${describeSnapshot(one.snapshot)}`
  if (one.responses.length > 0) {
    const responses = one.responses.map((response) => describeMessage(response, `${indent}  `))
    text += ` Responses:[\n${responses.join('\n')}\n${indent}]`
  }
  return text
}

function describeTarget(id: NodeId): string {
  if (id === none) return 'None'
  if (id === APPEND_THREAD) return 'AppendThread'
  if (id === APPLY_THREAD) return 'ApplyThread'
  return id.toString(16)
}

/** Bytes in double quotes; what is not printable ASCII is escaped. */
function quote(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return `"${text}"`
}
