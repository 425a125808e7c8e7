import { utf8, utf8Text } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { LineTooLong, linesOf } from './lines.ts'
import { encodeRecord, RecordIoDecoder, RecordIoMalformed, recordsOf } from './record-io.ts'
import { encodeSse, eventsOf, SseDecoder, SseTooLarge, type SseEvent } from './sse.ts'

/** The same bytes in chunks of the given sizes, which repeat. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

async function* arriving(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = []
  for await (const item of items) gathered.push(item)
  return gathered
}

const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 })
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

describe('RecordIO', () => {
  test('RT14: gives the records that went in, however the stream was cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), sizes, (payloads, chunkSizes) => {
        const decoder = new RecordIoDecoder()
        const stream = Buffer.concat(payloads.map(encodeRecord))

        const records = cut(stream, chunkSizes).flatMap((chunk) =>
          decoder.push(chunk).map((record) => Array.from(record)),
        )

        expect(records).toEqual(payloads.map((payload) => Array.from(payload)))
        expect(() => decoder.end()).not.toThrow()
      }),
    )
  })

  test('RT14: reads what Mesos writes', () => {
    const decoder = new RecordIoDecoder()
    const stream = utf8('20\n{"type":"HEARTBEAT"}3\nfoo0\n4\n\nbar')

    expect(decoder.push(stream).map(utf8Text)).toEqual(['{"type":"HEARTBEAT"}', 'foo', '', '\nbar'])
  })

  test.each(['x', '\n', '-1\n', '1 \n', ' 1\n', '1\r\n', '0x1\n', '99999999999\n', '65\n'])(
    'RT14: refuses %j',
    (stream) => {
      expect(() => new RecordIoDecoder(64).push(utf8(stream))).toThrow(RecordIoMalformed)
    },
  )

  test.each(['1', '2\na'])('RT14: a stream that ends with %j is not whole', (stream) => {
    const decoder = new RecordIoDecoder()
    decoder.push(utf8(stream))

    expect(() => decoder.end()).toThrow(RecordIoMalformed)
  })
})

describe('server-sent events', () => {
  const event = fc.record({
    id: text.map((id) => id.replace(/[\r\n\0]/g, '')),
    event: text.map((name) => name.replace(/[\r\n\0]/g, '')).filter((name) => name !== ''),
    data: text.map((data) => data.replace(/\r\n?/g, '\n')),
  })

  test('RT14: come out as they went in, however the stream was cut', () => {
    fc.assert(
      fc.property(fc.array(event), sizes, (events, chunkSizes) => {
        const decoder = new SseDecoder()
        const stream = utf8(events.map(encodeSse).join(': a comment\n'))

        const read = cut(stream, chunkSizes).flatMap((chunk) => decoder.push(chunk))

        expect(read).toEqual(events)
      }),
    )
  })

  test('RT14: any bytes give the same events, however they are cut', () => {
    const lines = fc.constantFrom(
      'data',
      ':',
      ' ',
      '\n',
      '\r',
      '\r\n',
      'id',
      'event',
      'é',
      '𝄞',
      'x',
    )
    fc.assert(
      fc.property(fc.array(lines, { maxLength: 60 }), sizes, (pieces, chunkSizes) => {
        const stream = utf8(pieces.join(''))
        const whole = new SseDecoder().push(stream)
        const decoder = new SseDecoder()

        expect(cut(stream, chunkSizes).flatMap((chunk) => decoder.push(chunk))).toEqual(whole)
      }),
    )
  })

  const examples: readonly [string, Partial<SseEvent>[]][] = [
    // The examples of the HTML standard, §9.2.6.
    ['data: YHOO\ndata: +2\ndata: 10\n\n', [{ data: 'YHOO\n+2\n10' }]],
    [
      ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\ndata: cut',
      [
        { data: 'first event', id: '1' },
        { data: 'second event', id: '' },
        { data: ' third event', id: '' },
      ],
    ],
    ['data\n\ndata\ndata\n\ndata:', [{ data: '' }, { data: '\n' }]],
    ['data:test\n\ndata: test\n\n', [{ data: 'test' }, { data: 'test' }]],
    ['\ufeffdata: a\r\rdata: b\r\n\r\n', [{ data: 'a' }, { data: 'b' }]],
    [
      'event: x\n\nevent: y\ndata: 1\n\ndata: 2\n\n',
      [{ event: 'y', data: '1' }, { event: 'message' }],
    ],
    ['id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n', [{ id: '7' }, { id: '7', data: 'b' }]],
  ]

  test.each(examples)('RT14: %j is read as the standard says', (stream, events) => {
    expect(new SseDecoder().push(utf8(stream))).toMatchObject(events)
  })

  test('RT14: tell when to come back, and from where', () => {
    const decoder = new SseDecoder()
    decoder.push(utf8('retry: 3000\nretry: soon\nid: 42\ndata\n\n'))

    expect([decoder.retryMs, decoder.lastId]).toEqual([3000, '42'])
  })

  test.each(['x'.repeat(200), 'data: 1\n'.repeat(100)])('RT14: are bounded: %#', (stream) => {
    expect(() => new SseDecoder(100).push(utf8(stream))).toThrow(SseTooLarge)
  })
})

describe('lines', () => {
  test('RT14: are the same, however the stream was cut', async () => {
    const line = text.map((any) => any.replaceAll('\n', ' '))
    await fc.assert(
      fc.asyncProperty(fc.array(line), sizes, async (lines, chunkSizes) => {
        const bytes = utf8(lines.map((any) => `${any}\n`).join(''))

        expect(await all(linesOf(arriving(cut(bytes, chunkSizes))))).toEqual(lines)
      }),
    )
  })

  test('RT14: the last one need not end, and empty ones count', async () => {
    const lines = await all(linesOf(arriving([utf8('\na\r\n\nb')])))

    expect(lines).toEqual(['', 'a\r', '', 'b'])
  })

  test('RT14: are bounded, however slowly they grow', async () => {
    const endless = arriving(Array.from({ length: 20 }, () => utf8('xxxxxxxxxx')))

    await expect(all(linesOf(endless, 100))).rejects.toThrow(LineTooLong)
  })
})

describe('what reads chunks as they come', () => {
  test('RT14: gives the records, and says when the last one is not whole', async () => {
    const chunks = cut(utf8('3\nfoo2\nhi'), [1, 3])
    const whole = await all(recordsOf(arriving(chunks)))

    expect(whole.map(utf8Text)).toEqual(['foo', 'hi'])
    await expect(all(recordsOf(arriving([utf8('3\nfo')])))).rejects.toThrow(RecordIoMalformed)
  })

  test('RT14: gives the events, and leaves out what the end cut off', async () => {
    const chunks = cut(utf8('id: 1\ndata: a\n\ndata: b\n\ndata: c\n'), [2])

    expect(await all(eventsOf(arriving(chunks)))).toMatchObject([
      { id: '1', data: 'a' },
      { id: '1', data: 'b' },
    ])
  })
})
