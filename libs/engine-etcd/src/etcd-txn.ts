import type { Compare, KeyOp, KeyTxn } from '@conclave/store'
import { prefixRange } from './client/key-range.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import type { EtcdCompare, EtcdOp, EtcdOpResult, EtcdTxn } from './wire/messages.ts'

/** The same transaction in etcd's words. Claims mean the same there, also about keys that are missing. */
export const toEtcd = ({ compare, success, failure = [] }: KeyTxn, keys: EtcdKeys): EtcdTxn => ({
  compare: compare.map((claim) => compareOf(claim, keys)),
  success: success.map((op) => opOf(op, keys)),
  failure: failure.map((op) => opOf(op, keys)),
})

/** One number for each change: a put key's version, or how many keys went. */
export const responsesOf = (results: readonly EtcdOpResult[]): readonly number[] =>
  results.map((result) => {
    switch (result.do) {
      case 'put':
        return (result.previous?.version ?? 0) + 1
      case 'delete-range':
        return result.count
      default:
        return 0
    }
  })

export function compareOf(claim: Compare, keys: EtcdKeys): EtcdCompare {
  const key = keys.of(claim.key)
  return claim.target === 'value'
    ? { key, target: 'value', is: claim.is, operand: claim.operand }
    : { key, target: claim.target, is: claim.is, operand: claim.operand }
}

export function opOf(op: KeyOp, keys: EtcdKeys): EtcdOp {
  switch (op.do) {
    case 'put':
      // With what was there before, which is the only way to be told the version.
      return { do: 'put', key: keys.of(op.key), value: op.value, lease: op.lease, previous: true }
    case 'delete':
      return { do: 'delete-range', key: keys.of(op.key) }
    default:
      return { do: 'delete-range', ...prefixRange(keys.of(op.prefix)) }
  }
}
