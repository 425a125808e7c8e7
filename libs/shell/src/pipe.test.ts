import { describe, expect, test } from 'vitest'
import { FileSystemError } from './file-system.ts'
import { createPipe, HostPipe, pipeSizeBytesMax } from './pipe.ts'
import { WaitSet } from './wait-set.ts'

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)

function openPipe() {
  const { reader, writer } = createPipe()
  return { reader: reader.retain(), writer: writer.retain() }
}

describe('a pipe', () => {
  test('SH8: holds 64 KiB, and then its writer waits until somebody reads', () => {
    const { reader, writer } = openPipe()
    expect(writer.write(bytes(pipeSizeBytesMax + 1))).toBe(pipeSizeBytesMax)
    const wait = writer.write(bytes(1))
    let isWoken = false
    if (wait instanceof WaitSet) wait.add({ wake: () => (isWoken = true) })
    expect(isWoken).toBe(false)

    reader.read(100)

    expect(isWoken).toBe(true)
    expect(writer.write(bytes(1))).toBe(1)
  })

  test('does not tear a short write apart', () => {
    const { writer } = openPipe()
    writer.write(bytes(pipeSizeBytesMax - 10))

    expect(writer.write(bytes(11))).toBeInstanceOf(WaitSet)
    expect(writer.write(bytes(10))).toBe(10)
  })

  test('gives what is there, and no more than was asked for', () => {
    const { reader, writer } = openPipe()
    writer.write(Uint8Array.of(1, 2, 3))

    expect(reader.read(2)).toEqual(Uint8Array.of(1, 2))
    expect(reader.read(2)).toEqual(Uint8Array.of(3))
    expect(reader.read(2)).toBeInstanceOf(WaitSet)
  })

  test('gives a line without a byte of the next', () => {
    const { reader, writer } = openPipe()
    writer.write(new TextEncoder().encode('a\nb'))

    expect(reader.readLine()).toEqual(new TextEncoder().encode('a\n'))
    expect(reader.readLine()).toEqual(new TextEncoder().encode('b'))
  })

  test('ends for its reader when the last writer is gone', () => {
    const { reader, writer } = openPipe()
    writer.retain()
    writer.write(bytes(1))

    writer.release()
    expect(reader.read(10)).toHaveLength(1)
    expect(reader.read(10)).toBeInstanceOf(WaitSet)
    writer.release()

    expect(reader.read(10)).toHaveLength(0)
  })

  test('is broken for its writer when the last reader is gone', () => {
    const { reader, writer } = openPipe()

    reader.release()

    expect(() => writer.write(bytes(1))).toThrow(FileSystemError)
  })
})

describe('the pipe of a host', () => {
  test('takes everything, and says when that is too much', () => {
    const pipe = new HostPipe()

    expect(pipe.write(bytes(100))).toBe(true)
    expect(pipe.write(bytes(pipeSizeBytesMax))).toBe(false)
  })

  test('copies what it is given', () => {
    const pipe = new HostPipe()
    const given = bytes(3)
    pipe.write(given)

    given.fill(0)

    expect(pipe.reader.read(3)).toEqual(bytes(3))
  })

  test('takes nothing once its reader is gone', () => {
    const pipe = new HostPipe()
    pipe.reader.retain().release()

    expect(pipe.write(bytes(1))).toBe(false)
  })
})
