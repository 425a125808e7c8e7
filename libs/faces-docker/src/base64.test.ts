import { utf8, utf8Text } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { base64Decoded } from './base64.ts'

describe('base64 as bytes', () => {
  test('comes back as what was encoded, whatever lines it was broken into', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(80), (bytes, width) => {
        const text = Buffer.from(bytes).toString('base64')
        const lines = width < 4 ? text : text.replaceAll(new RegExp(`.{${width}}`, 'g'), '$&\r\n')
        expect([...base64Decoded(utf8(lines))]).toEqual([...bytes])
      }),
    )
  })

  test.each([
    ['notbase64!', 9],
    ['!', 0],
    ['YQ=', 3],
    ['YQ', 2],
    ['YQ==YQ==', 4],
    ['=', 0],
    ['Y===', 1],
    ['YWE==', 4],
  ])('%s is refused at byte %i', (text, at) => {
    expect(() => base64Decoded(utf8(text))).toThrow(`illegal base64 data at input byte ${at}`)
  })

  test('a refusal has nothing of the text', () => {
    let message = ''
    try {
      base64Decoded(utf8('czNjcjN0!'))
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).not.toContain(utf8Text(utf8('czNj')))
  })
})
