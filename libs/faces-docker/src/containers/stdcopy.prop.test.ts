import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stdcopyFrame, StdcopyReader, type StreamName } from './stdcopy.ts'

const stream = fc.constantFrom<StreamName>('stdin', 'stdout', 'stderr')
const writes = fc.array(fc.tuple(stream, fc.uint8Array({ maxLength: 300 })), { maxLength: 20 })

describe('DK41: two streams on one connection', () => {
  test('come apart as they were put together, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        writes,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (all, cuts) => {
          const bytes = Buffer.concat(all.map(([name, payload]) => stdcopyFrame(name, payload)))
          const reader = new StdcopyReader()
          const seen: (readonly [string, number[]])[] = []
          for (let at = 0, count = 0; at < bytes.length; count++) {
            const size = cuts[count % cuts.length] ?? 1
            for (const frame of reader.push(bytes.subarray(at, at + size))) {
              seen.push([frame.stream, [...frame.payload]])
            }
            at += size
          }
          expect(seen).toEqual(all.map(([name, payload]) => [name, [...payload]]))
          expect(reader.pendingBytes).toBe(0)
        },
      ),
    )
  })

  test('begin with the stream and the length. Source: docker-swarm.md A7', () => {
    const frame = stdcopyFrame('stderr', new Uint8Array(63))
    expect(frame.subarray(0, 8).toString('hex')).toBe('020000000000003f')
  })

  test.each(['0300000000000001', '0100010000000001'])('are not read out of %s', (head) => {
    expect(() => new StdcopyReader().push(Buffer.from(head, 'hex'))).toThrow(RangeError)
  })
})
