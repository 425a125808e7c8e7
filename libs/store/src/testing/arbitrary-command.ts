import * as fc from 'fast-check'
import { TxnInvalid } from '../errors.ts'
import type { KeyOp, KeyTxn } from '../secret-store.ts'
import { checkTxn, type Command, type Compare, type Op, type Txn } from '../txn.ts'

/** Few keys, so that they meet; among them some whose UTF-16 order is not that of their bytes. */
const key = fc.constantFrom(
  'a',
  'a/',
  'a/b',
  'a/c',
  'b',
  'ü',
  '\u{e000}',
  '\u{1d4b3}',
  '\u{1d4b3}/x',
)
const prefix = fc.constantFrom('a', 'a/', 'b', '\u{1d4b3}')
const value = fc.uint8Array({ maxLength: 3 })
const lease = fc.integer({ min: 1, max: 3 })
const number = fc.integer({ min: 0, max: 6 })

const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    key,
    target: fc.constantFrom('version' as const, 'createRevision' as const, 'modRevision' as const),
    is: fc.constantFrom('=' as const, '!=' as const, '<' as const, '>' as const),
    operand: number,
  }),
  fc.record({
    key,
    target: fc.constant('value' as const),
    is: fc.constantFrom('=' as const, '!=' as const, '<' as const, '>' as const),
    operand: value,
  }),
)

const leaselessOp: fc.Arbitrary<KeyOp> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, value }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete-prefix' as const), prefix }) },
)

const keyOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 10, arbitrary: leaselessOp },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('put' as const), key, value, lease }) },
)

const leaseOp: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    do: fc.constant('lease-grant' as const),
    lease,
    ttlMs: fc.integer({ min: 1, max: 50 }),
  }),
  fc.record({ do: fc.constant('lease-keepalive' as const), lease }),
)

const lettingGo: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ do: fc.constantFrom('lease-revoke' as const, 'lease-expire' as const), lease }),
  fc.constant({ do: 'lease-extend-all' } as const),
  fc.record({ do: fc.constant('compact' as const), revision: fc.integer({ min: 0, max: 12 }) }),
)

const branch: fc.Arbitrary<readonly Op[]> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(
      fc.oneof({ weight: 4, arbitrary: keyOp }, { weight: 1, arbitrary: leaseOp }),
      { maxLength: 4 },
    ),
  },
  { weight: 2, arbitrary: fc.array(lettingGo, { maxLength: 2 }) },
)

function isValid(txn: Txn): boolean {
  try {
    checkTxn(txn)
    return true
  } catch (error) {
    if (error instanceof TxnInvalid) return false
    throw error
  }
}

/** Any command that replicas would not refuse for itself. */
export const anyCommand: fc.Arbitrary<Command> = fc
  .record(
    {
      session: fc.record({
        client: fc.constantFrom('ada', 'bob', 'eve'),
        seq: fc.integer({ min: 1, max: 4 }),
      }),
      nowMs: fc.integer({ min: 0, max: 100 }),
      compare: fc.array(compare, { maxLength: 2 }),
      success: branch,
      failure: branch,
    },
    { requiredKeys: ['nowMs', 'compare', 'success', 'failure'] },
  )
  .filter(isValid)

/** Any transaction over keys alone, in the form of the port. */
export const anyKeyTxn: fc.Arbitrary<KeyTxn> = fc
  .record({
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(leaselessOp, { maxLength: 4 }),
    failure: fc.array(leaselessOp, { maxLength: 3 }),
  })
  .filter(isValid)
