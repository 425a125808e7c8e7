import { describe, expect, test } from 'vitest'
import { HiddenLine } from './hidden-input.ts'

describe('a line that is typed without being shown', () => {
  test('comes in pieces, and ends with Enter', () => {
    const line = new HiddenLine()

    expect(line.take(Buffer.from('SWM'))).toBeUndefined()
    expect(line.take(Buffer.from('KEY\r'))).toMatchObject({ isGivenUp: false })

    expect(line.text().toString()).toBe('SWMKEY')
  })

  test('leaves what was pasted behind it for the next one', () => {
    const line = new HiddenLine()

    const end = line.take(Buffer.from('one\rtwo\rthree'))

    expect(line.text().toString()).toBe('one')
    expect(end?.rest.toString()).toBe('two\rthree')
  })

  test('is mended with Backspace, a character at a time', () => {
    const line = new HiddenLine()

    line.take(Buffer.from('aä\x7f€\bb\r'))

    expect(line.text().toString()).toBe('ab')
  })

  test('may be erased before anything was typed', () => {
    const line = new HiddenLine()

    line.take(Buffer.from('\x7f\x7fa\r'))

    expect(line.text().toString()).toBe('a')
  })

  test.each(['\x03', '\x04'])('is given up with %j', (byte) => {
    expect(new HiddenLine().take(Buffer.from(`abc${byte}`))).toMatchObject({ isGivenUp: true })
  })

  test('leaves no copy in what the terminal gave, and none once it was wiped', () => {
    const line = new HiddenLine()
    const chunk = Buffer.from('SWMKEY\r')

    line.take(chunk)
    line.wipe()

    expect(chunk.every((byte) => byte === 0)).toBe(true)
    expect(line.text()).toHaveLength(0)
  })

  test('costs bounded memory', () => {
    const line = new HiddenLine()

    line.take(Buffer.alloc(100_000, 'x'))

    expect(line.text()).toHaveLength(1024)
  })
})
