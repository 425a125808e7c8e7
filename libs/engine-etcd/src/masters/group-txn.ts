import { TxnInvalid, type KeyOp, type Op, type Txn } from '@conclave/store'
import type { EtcdLeadership } from '../client/etcd-election.ts'
import type { EtcdKeys } from '../etcd-keys.ts'
import { compareOf, opOf } from '../etcd-txn.ts'
import type { EtcdCompare, EtcdOp, EtcdTxn } from '../wire/messages.ts'

/**
 * How many claims, and how many changes, etcd takes in one message: `--max-txn-ops`, 128 unless etcd was told
 * otherwise, less one for the transaction around it that looks after the session.
 */
const opsMax = 127
const nobody = new Uint8Array(0)

/**
 * A transaction of a master in etcd's words. Whatever it changes, it puts the head, too. A leader's claims
 * that its key of the election is still there: whoever was deposed changes nothing any more.
 *
 * More changes than etcd takes in one message stand in transactions inside: all of them are one revision
 * nevertheless. Source: checkTxnRequest in etcd's server/etcdserver/api/v3rpc/key.go.
 *
 * @throws TxnInvalid for what only etcd itself can do (leases), and for more claims than it takes
 */
export function toGroupTxn(txn: Txn, keys: EtcdKeys, fence: EtcdLeadership | undefined): EtcdTxn {
  const { success, failure = [] } = txn
  const claims = txn.compare.map((claim) => compareOf(claim, keys))
  // A branch of its own for claims that fail would be taken for a fence that fails.
  const compare = fence === undefined || failure.length > 0 ? claims : [...claims, claimOf(fence)]
  if (compare.length >= opsMax) {
    throw new TxnInvalid(`a transaction has at most ${opsMax - 2} claims on etcd`)
  }
  const branch = (ops: readonly Op[]): readonly EtcdOp[] =>
    ops.length === 0 ? [] : grouped([...ops.map((op) => changeOf(op, keys)), headOf(keys)], compare)
  return { compare, success: branch(success), failure: branch(failure) }
}

/** Claims that this leader still is one. */
export const claimOf = ({ key, createRevision }: EtcdLeadership): EtcdCompare => ({
  key,
  target: 'createRevision',
  is: '=',
  operand: createRevision,
})

const headOf = (keys: EtcdKeys): EtcdOp => ({ do: 'put', key: keys.head, value: nobody })

/**
 * etcd lets a transaction inside have as many changes as its own limit leaves beside the claims and the
 * changes around it, the marker of the session among them.
 */
function grouped(ops: readonly EtcdOp[], compare: readonly EtcdCompare[]): readonly EtcdOp[] {
  if (ops.length < opsMax) return ops
  for (let groups = 2; groups < opsMax - 1; groups++) {
    const size = opsMax - Math.max(compare.length, groups + 1)
    if (groups * size < ops.length) continue
    return Array.from({ length: groups }, (_, at) => ops.slice(at * size, (at + 1) * size))
      .filter((group) => group.length > 0)
      .map((success) => ({ do: 'txn', txn: { compare: [], success, failure: [] } }))
  }
  throw new TxnInvalid(
    `${ops.length - 1} changes beside ${compare.length} claims are too many for etcd`,
  )
}

function changeOf(op: Op, keys: EtcdKeys): EtcdOp {
  if (!isKeyOp(op)) {
    throw new TxnInvalid(`on etcd ${op.do} is none of a transaction's changes`)
  }
  const change = opOf(op, keys)
  // Nobody asks for the version: the mirror will tell it.
  return change.do === 'put' ? { ...change, previous: false } : change
}

const isKeyOp = (op: Op): op is KeyOp =>
  op.do === 'put' || op.do === 'delete' || op.do === 'delete-prefix'
