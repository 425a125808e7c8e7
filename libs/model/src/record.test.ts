import { utf8 } from '@conclave/kernel'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { decodeRecord, encodeRecord, RecordUnreadable } from './record.ts'

const schema = z.object({ count: z.int() })

test('a record comes back as it was written', () => {
  expect(decodeRecord(schema, 'a/b', encodeRecord({ count: 3 }))).toEqual({ count: 3 })
})

test.each(['', '{"count"', '{"count":"canary"}', '[]', 'null'])(
  'what is no record (%j) is named by its key, and not told',
  (text) => {
    const reading = () => decodeRecord(schema, 'a/b', utf8(text))

    expect(reading).toThrow(RecordUnreadable)
    expect(reading).toThrow('the record at a/b is not what this build writes there')
  },
)
