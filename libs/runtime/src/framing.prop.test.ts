import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { FrameReader, FrameTooLarge, FrameWriter } from './framing.ts'
import { Fifo } from './fifo.ts'
import { StuckSocket } from './testing/byte-link.ts'

/** The same bytes, cut at other places. */
const cut = (bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
  const chunks: Uint8Array[] = []
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

const cuts = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 8 })

describe('frames', () => {
  test('RT1: come out as they went in, however the stream was cut', () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ max: 40, min: 0 }), fc.integer({ min: 0, max: 150_000 })),
      {
        maxLength: 6,
      },
    )
    fc.assert(
      fc.property(sizes, cuts, (frameSizes, chunkSizes) => {
        const frames = frameSizes.map((size, index) => Buffer.alloc(size, index + 1))
        const socket = new StuckSocket()
        const writer = new FrameWriter(socket)
        for (const frame of frames) writer.write(frame.subarray(0, 3), frame.subarray(3))
        writer.flush()
        socket.release()

        const reader = new FrameReader(150_000)
        const read = cut(Buffer.concat(socket.taken), chunkSizes).flatMap((chunk) =>
          Array.from(reader.push(chunk), (frame) => Buffer.from(frame)),
        )

        expect(read.map((frame) => frame.toString('hex').length)).toEqual(
          frames.map((frame) => frame.length * 2),
        )
        expect(Buffer.concat(read).equals(Buffer.concat(frames))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('RT1: garbage is frames or a refusal, and never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), cuts, (garbage, chunkSizes) => {
        const reader = new FrameReader(64)
        const read = (): unknown => {
          try {
            return cut(garbage, chunkSizes).map((chunk) => Array.from(reader.push(chunk)))
          } catch (error) {
            return error
          }
        }

        const outcome = read()

        expect(Array.isArray(outcome) || outcome instanceof FrameTooLarge).toBe(true)
      }),
    )
  })
})

describe('a first-in first-out queue', () => {
  test('answers what an array with shift answers', () => {
    const steps = fc.array(fc.option(fc.integer(), { nil: undefined }), { maxLength: 5000 })
    fc.assert(
      fc.property(steps, (script) => {
        const queue = new Fifo<number>()
        const model: number[] = []
        for (const step of script) {
          if (step !== undefined) {
            queue.push(step)
            model.push(step)
          }
          expect(step ?? queue.shift()).toBe(step ?? model.shift())
          expect(queue.length).toBe(model.length)
          expect(queue.peek()).toBe(model[0])
        }
        expect(queue.takeAll()).toEqual(model)
        expect(queue.length).toBe(0)
      }),
      { numRuns: 30 },
    )
  })
})
