import { utf8 } from '@conclave/kernel'
import { expect, test } from 'vitest'
import { encodeCommand } from './command.ts'
import { snapshotOf, StateDigest } from './state-record.ts'
import { StoreMachine } from './store.ts'
import type { Op } from './txn.ts'

const put = (key: string, value: string): Op => ({ do: 'put', key, value: utf8(value) })
const apply = (machine: StoreMachine, ...success: Op[]): void =>
  void machine.apply(encodeCommand({ nowMs: 1, compare: [], success }))

test('a machine of the records of one revision has them with their numbers, and goes on from there', () => {
  const original = new StoreMachine()
  apply(original, put('b', '1'), put('a', '1'))
  apply(original, put('b', '2'))
  apply(original, { do: 'delete', key: 'a' })
  apply(original, put('ü', 'x'))
  const { kvs, revision } = original.list('')

  const copy = new StoreMachine()
  copy.restore(snapshotOf(revision, kvs))

  expect(copy.list('')).toEqual(original.list(''))
  expect(copy.compactRevision).toBe(revision)
  apply(copy, put('b', '3'))
  apply(original, put('b', '3'))
  expect(copy.get('b')).toEqual(original.get('b'))
})

function digest(...records: readonly (readonly [string, string])[]): string {
  const all = new StateDigest()
  for (const [key, value] of records) all.add({ key, value: utf8(value) })
  expect(all.count).toBe(records.length)
  return all.end()
}

test('a digest tells any other key, value, order or number of records', () => {
  const whole = digest(['a', '1'], ['b', '2'])

  expect(digest(['a', '1'], ['b', '2'])).toBe(whole)
  const others = [
    digest(['a', '1']),
    digest(['b', '2'], ['a', '1']),
    digest(['a', '1'], ['b', '3']),
    digest(['a', '1b'], ['', '2']),
    digest(['a1', ''], ['b', '2']),
    digest(['a', '1'], ['b', '2'], ['c', '']),
  ]
  expect(new Set([whole, ...others]).size).toBe(7)
})
