import {
  envelopeDekId,
  isEnvelope,
  rewrapEnvelope,
  type EnvelopePlace,
  type Keyring,
} from '@conclave/crypto'
import { tasksPrefix } from '@conclave/cluster'
import type { Random } from '@conclave/kernel'
import {
  changeSealed,
  decodeRecord,
  parseOurs,
  TaskInfo,
  TaskSpec,
  type SealedValue,
} from '@conclave/model'
import { TaskRecord } from '@conclave/cluster'
import type { KeyValue } from '@conclave/store'
import { encodeRecord } from '../record.ts'
import { runPrefix, RunRecord } from '../run-records.ts'
import { envelopePrefix } from '../secret-records.ts'
import { passwordPrefix } from '../identity/identity-records.ts'
import { inlinePath } from '../inline-path.ts'

/** Where an envelope of this cluster belongs. */
type Place = Omit<EnvelopePlace, 'clusterId'>

/** An envelope that stands in a record. */
export interface SealedPart {
  readonly envelope: Uint8Array
  readonly place: Place
  /** The id of an inline value. */
  readonly inlineId?: string
}

/** One kind of record that holds envelopes. */
interface SealedKind {
  /** Of its keys: no other kind of record has one that begins like this. */
  readonly prefix: string
  readonly partsOf: (kv: KeyValue) => readonly SealedPart[]
  /** The record with other envelopes in it. Tasks have none: the cluster's core writes them itself. */
  readonly replaced?: (kv: KeyValue, change: (part: SealedPart) => Uint8Array) => Uint8Array
}

const whole = (kv: KeyValue, place: Place): readonly SealedPart[] =>
  isEnvelope(kv.value) ? [{ envelope: kv.value, place }] : []

const replaceWhole =
  (placeOf: (key: string) => Place): NonNullable<SealedKind['replaced']> =>
  (kv, change) =>
    change({ envelope: kv.value, place: placeOf(kv.key) })

/** The last `@` separates the version: a path may have others. */
function secretPlace(key: string): Place {
  const at = key.lastIndexOf('@')
  return { path: key.slice(envelopePrefix.length, at), version: Number(key.slice(at + 1)) }
}

/** No secret's path begins with `#`: keys of the cluster itself are sealed at their own record's name. */
const keyPlace = (key: string): Place => ({ path: `#${key}`, version: 1 })

/** Read record by record: the bytes of an envelope are base64 there. */
function partOf({ id, envelope }: SealedValue): SealedPart {
  const bytes = new Uint8Array(Buffer.from(envelope, 'base64'))
  return { envelope: bytes, place: { path: inlinePath(id), version: 1 }, inlineId: id }
}

function partsIn(visit: (seen: (sealed: SealedValue) => undefined) => void): readonly SealedPart[] {
  const parts: SealedPart[] = []
  visit((sealed) => void parts.push(partOf(sealed)))
  return parts
}

/**
 * Every kind of record that holds envelopes: whoever adds another one adds it here, or no rotation of
 * the keyring ends (KR4).
 */
export const sealedKinds: readonly SealedKind[] = [
  {
    prefix: envelopePrefix,
    partsOf: (kv) => whole(kv, secretPlace(kv.key)),
    replaced: replaceWhole(secretPlace),
  },
  {
    prefix: 'keys/',
    partsOf: (kv) => whole(kv, keyPlace(kv.key)),
    replaced: replaceWhole(keyPlace),
  },
  {
    prefix: passwordPrefix,
    partsOf: (kv) => whole(kv, keyPlace(kv.key)),
    replaced: replaceWhole(keyPlace),
  },
  {
    prefix: runPrefix,
    partsOf: (kv) => {
      const { template } = decodeRecord(RunRecord, kv.key, kv.value)
      return partsIn((seen) => changeSealed(TaskSpec, parseOurs(TaskSpec, template), seen))
    },
    replaced: (kv, change) => {
      const run = decodeRecord(RunRecord, kv.key, kv.value)
      return encodeRecord({ ...run, template: resealedTemplate(run.template, change) })
    },
  },
  {
    prefix: tasksPrefix,
    partsOf: (kv) => {
      const { info } = decodeRecord(TaskRecord, kv.key, kv.value)
      return partsIn((seen) => changeSealed(TaskInfo, info, seen))
    },
  },
]

/** A stored spec with other envelopes for its inline values. */
export function resealedTemplate(
  template: RunRecord['template'],
  change: (part: SealedPart) => Uint8Array,
): RunRecord['template'] {
  const spec = changeSealed(TaskSpec, parseOurs(TaskSpec, template), (sealed) =>
    Buffer.from(change(partOf(sealed))).toString('base64'),
  )
  return JSON.parse(JSON.stringify(spec)) as RunRecord['template']
}

export const kindOf = (key: string): SealedKind | undefined =>
  sealedKinds.find(({ prefix }) => key.startsWith(prefix))

// As every envelope begins, and its base64 where it stands alone.
const envelopeMark = Buffer.from([0x43, 0x4e, 0x53, 0x31, 0x01, 0x00])
const envelopeMarkText = 'Q05TMQEA'

/** Whether a record may hold an envelope although its kind says nothing of it. */
export function holdsStrayEnvelope({ key, value }: KeyValue): boolean {
  if (kindOf(key) !== undefined) return false
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return bytes.includes(envelopeMark) || bytes.includes(envelopeMarkText)
}

/** The same value under the newest DEK: at most its data key is opened, and nothing else. */
export function rewrapped(
  part: SealedPart,
  o: { readonly clusterId: string; readonly keyring: Keyring; readonly random: Random },
): Uint8Array {
  const { envelope, place } = part
  return isUnder(part, o.keyring.newest.id)
    ? envelope
    : rewrapEnvelope({ ...o, ...place, envelope })
}

export const isUnder = ({ envelope }: SealedPart, dekId: number): boolean =>
  envelopeDekId(envelope) === dekId
