import { hasBytesAt, utf8, utf8Text } from '@conclave/kernel'
import { isEnvelope } from '@conclave/crypto'

/*
 * Every kind of record that masters keep (docs/formats/records.md), and what becomes of secrets in it. A
 * journal seals all of them once more; in an etcd, and for whoever opens an export, they lie as this says.
 */

/** What a record may hold of a secret. */
export type Holds =
  /** Nothing: names, numbers, times, rights. */
  | 'nothing'
  /** An envelope, and nothing else. */
  | 'envelope'
  /** Keys under the KEK, and nothing else. */
  | 'wrapped'
  /** JSON whose inline values are envelopes. */
  | 'sealed-parts'

export interface RecordKind {
  /** A whole key; or how keys begin, if it ends with `/` or `-`. */
  readonly at: string
  readonly holds: Holds
}

/** A new kind of record is decided on here, or the tests of whoever writes it fail. */
export const recordKinds: readonly RecordKind[] = [
  { at: 'masters/founding', holds: 'nothing' },
  { at: 'masters/epoch', holds: 'nothing' },
  { at: 'masters/member/', holds: 'nothing' },
  { at: 'masters/reserved', holds: 'nothing' },
  { at: 'keys/keyring', holds: 'wrapped' },
  { at: 'keys/kek', holds: 'nothing' },
  { at: 'keys/kek-link/', holds: 'wrapped' },
  { at: 'keys/kek-kept/', holds: 'nothing' },
  { at: 'keys/unlock', holds: 'envelope' },
  { at: 'keys/token', holds: 'envelope' },
  { at: 'keys/authority', holds: 'envelope' },
  { at: 'keys/authority-next', holds: 'envelope' },
  { at: 'keys/join-master', holds: 'envelope' },
  { at: 'keys/join-agent', holds: 'envelope' },
  { at: 'authority/state', holds: 'nothing' },
  { at: 'authority/holder/', holds: 'nothing' },
  { at: 'authority/removed/', holds: 'nothing' },
  { at: 'authority/promotion/', holds: 'nothing' },
  { at: 'identity/user/', holds: 'nothing' },
  { at: 'identity/password/', holds: 'envelope' },
  { at: 'identity/acl/', holds: 'nothing' },
  { at: 'identity/changed', holds: 'nothing' },
  { at: 'secret/', holds: 'nothing' },
  { at: 'envelope/', holds: 'envelope' },
  { at: 'secret-last/', holds: 'nothing' },
  { at: 'document/', holds: 'nothing' },
  { at: 'document-name/', holds: 'nothing' },
  // Values of secrets are refused in a workload's template: it is shown, kept and compared for long.
  { at: 'workloads/spec/', holds: 'nothing' },
  { at: 'workloads/job/', holds: 'nothing' },
  { at: 'workloads/status/', holds: 'nothing' },
  { at: 'workloads/template/', holds: 'nothing' },
  { at: 'workloads/task/', holds: 'nothing' },
  { at: 'workloads/name/', holds: 'nothing' },
  { at: 'workloads/node/', holds: 'nothing' },
  { at: 'workloads/secrets-used', holds: 'nothing' },
  { at: 'run/', holds: 'sealed-parts' },
  { at: 'cluster/tasks/', holds: 'sealed-parts' },
  { at: 'cluster/counters', holds: 'nothing' },
  { at: 'cluster/weights', holds: 'nothing' },
  { at: 'cluster/maintenance', holds: 'nothing' },
  { at: 'cluster/agents/', holds: 'nothing' },
  { at: 'cluster/frameworks/', holds: 'nothing' },
  { at: 'cluster/grants/', holds: 'nothing' },
]

const isOf = ({ at }: RecordKind, key: string): boolean =>
  /[/-]$/.test(at) ? key.startsWith(at) : key === at

/** What a record holds that its kind must not, in words without the value; undefined when all is well. */
export function recordFault(key: string, value: Uint8Array): string | undefined {
  const [kind, ...others] = recordKinds.filter((one) => isOf(one, key))
  if (kind === undefined) return `nobody has decided what a record such as ${key} holds of secrets`
  if (others.length > 0) return `${key} is of more than one kind`
  if (kind.holds === 'envelope') return isEnvelope(value) ? undefined : `${key} is no envelope`
  if (kind.holds !== 'wrapped') return jsonFault(key, value)
  return hasBytesAt(value, 0, wrappedMagic) ? undefined : `${key} is no wrapped key`
}

const wrappedMagic = utf8('CNK1')

function jsonFault(key: string, value: Uint8Array): string | undefined {
  // A mark of a moment, without a word.
  if (value.length === 0) return undefined
  let json: unknown
  try {
    json = JSON.parse(utf8Text(value))
  } catch {
    return `${key} is no JSON`
  }
  return holdsPlainValue(json) ? `${key} holds the value of a secret` : undefined
}

/** A secret of type VALUE whose bytes are there, wherever in a spec it stands. */
function holdsPlainValue(json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false
  const { type, value } = json as { type?: unknown; value?: { data?: unknown } }
  if (type === 'VALUE' && value?.data !== undefined) return true
  return Object.values(json).some(holdsPlainValue)
}
