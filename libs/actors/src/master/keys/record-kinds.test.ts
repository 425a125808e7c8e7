import { readFileSync } from 'node:fs'
import { utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { recordFault, recordKinds } from './record-kinds.ts'
import { sealedKinds } from './sealed-records.ts'

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value))

describe('the kinds of records', () => {
  test('MA43: each that holds an envelope is one that the rotation of the keyring knows', () => {
    const sealed = recordKinds.filter(
      ({ holds }) => holds === 'envelope' || holds === 'sealed-parts',
    )

    for (const { at } of sealed) {
      expect(sealedKinds.filter(({ prefix }) => at.startsWith(prefix))).toHaveLength(1)
    }
  })

  test('MA43: each stands in the list of records, and no other does', () => {
    const page = readFileSync(
      new URL('../../../../../docs/formats/records.md', import.meta.url),
      'utf8',
    )
    const rows = page
      .match(/^\| (`[^|]+`(, )?)+ \|/gm)
      ?.flatMap((row) => row.match(/[^`|, ][^`]*(?=`)/g) ?? [])
    const told = (rows ?? []).map((key) => key.replace(/<.*$/, ''))

    const core = recordKinds.filter(({ at }) => !at.startsWith('cluster/')).map(({ at }) => at)
    expect([...new Set(told)].toSorted()).toEqual(core.toSorted())
  })

  test.each([
    ['a/new/kind', json({})],
    ['keys/new', json({})],
    ['envelope/dev/db@1', utf8('the value')],
    ['keys/token', json('a key')],
    ['keys/keyring', utf8('a key')],
    ['masters/epoch', utf8('the value')],
    ['run/1', json({ template: { secret: { type: 'VALUE', value: { data: 'dGhl' } } } })],
    ['workloads/spec/1', json({ spec: [{ type: 'VALUE', value: { data: 'dGhl' } }] })],
  ])('MA43: %s with a value that is not sealed is a fault', (key, value) => {
    expect(recordFault(key, value)).toContain(key)
  })
})
