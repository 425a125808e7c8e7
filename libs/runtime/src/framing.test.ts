import { setImmediate as nextTurn } from 'node:timers/promises'

import { utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'

import { FrameReader, FrameTooLarge, FrameWriter } from './framing.ts'
import { StuckSocket } from './testing/byte-link.ts'

/** The head of a frame of that size. */
function announcing(sizeBytes: number): Uint8Array {
  const head = new Uint8Array(4)
  new DataView(head.buffer).setUint32(0, sizeBytes)
  return head
}

describe('a frame reader', () => {
  test('RT1: refuses a frame larger than allowed before any of its bytes came', () => {
    const reader = new FrameReader(16)

    expect(() => [...reader.push(announcing(17))]).toThrow(FrameTooLarge)
    expect(() => [...new FrameReader(16).push(announcing(0xffff_ffff))]).toThrow(FrameTooLarge)
  })

  test('RT1: keeps no more memory than has arrived, whatever was announced', () => {
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 100 }, () => new FrameReader(1024 * 1024 * 1024))

    for (const reader of readers) Array.from(reader.push(announcing(1024 * 1024 * 1024)))
    for (const reader of readers) Array.from(reader.push(utf8('a')))

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  test('RT1: passes on an empty frame', () => {
    expect([...new FrameReader(16).push(announcing(0))]).toEqual([new Uint8Array()])
  })
})

describe('a frame writer', () => {
  test('RT1: hands one turn of the event loop over in one write', async () => {
    const socket = new StuckSocket()
    const writer = new FrameWriter(socket)

    for (let count = 0; count < 100; count++) writer.write(utf8('a heartbeat'))
    await nextTurn()

    expect(socket.writes).toBe(1)
    const frames = [...new FrameReader(100).push(Buffer.concat(socket.taken))]
    expect(frames).toHaveLength(100)
  })

  test('RT1: says that it is full while nobody reads, and calls when there is room', async () => {
    const socket = new StuckSocket()
    let rooms = 0
    const writer = new FrameWriter(socket, () => rooms++)

    writer.write(new Uint8Array(300 * 1024))
    await nextTurn()
    expect([writer.isFull, rooms]).toEqual([true, 0])

    socket.release()
    await nextTurn()
    expect([writer.isFull, rooms]).toEqual([false, 1])
  })

  test('RT1: writes nothing into a socket that has ended', async () => {
    const socket = new StuckSocket()
    const writer = new FrameWriter(socket)

    writer.write(utf8('late'))
    socket.destroy()
    await nextTurn()

    expect(socket.taken).toEqual([])
  })
})
