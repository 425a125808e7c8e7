import { utf8, utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { ValuePages, type Place } from './value-pages.ts'

const bytesAt = ({ page, offset, sizeBytes }: Place): Uint8Array =>
  page?.bytes.subarray(offset, offset + sizeBytes) ?? new Uint8Array(0)

const put = (pages: ValuePages, value: Uint8Array): Place => {
  const place: Place = { page: undefined, offset: 0, sizeBytes: 0 }
  pages.put(value, place)
  return place
}

describe('values in pages', () => {
  test('keep their bytes whatever becomes of their neighbours', () => {
    const pages = new ValuePages()
    const texts = Array.from({ length: 5000 }, (_, at) => `value ${at} `.repeat((at % 40) + 1))
    const places = texts.map((text) => put(pages, utf8(text)))

    for (const [at, place] of places.entries()) if (at % 3 !== 0) pages.free(place)
    const kept = places.filter((_, at) => at % 3 === 0)
    for (const place of kept) pages.move(place)

    expect(kept.map((place) => utf8Text(bytesAt(place)))).toEqual(
      texts.filter((_, at) => at % 3 === 0),
    )
  })

  test('that were read are not written over once nobody needs them', () => {
    const pages = new ValuePages()
    const place = put(pages, utf8('old'))
    const read = bytesAt(place)

    pages.free(place)
    for (let count = 0; count < 100; count++) put(pages, utf8('new'))

    expect(utf8Text(read)).toBe('old')
  })

  test('leave pages that hold little else, until there is no waste', () => {
    const pages = new ValuePages()
    const value = new Uint8Array(1000)
    const places = Array.from({ length: 20_000 }, () => put(pages, value))
    expect(pages.isWasteful).toBe(false)

    const kept = places.filter((_, at) => at % 100 === 0)
    for (const [at, place] of places.entries()) if (at % 100 !== 0) pages.free(place)
    expect(pages.isWasteful).toBe(true)
    for (const place of kept) pages.move(place)

    expect(pages.isWasteful).toBe(false)
    expect(new Set(kept.map(({ page }) => page)).size).toBeLessThan(4)
  })

  test('of any size are kept: none, and more than a page', () => {
    const pages = new ValuePages()
    const none = put(pages, new Uint8Array(0))
    const large = put(pages, new Uint8Array(700_000).fill(7))

    pages.free(none)
    pages.move(none)
    pages.move(large)

    expect(none.sizeBytes).toBe(0)
    expect(bytesAt(large)).toEqual(new Uint8Array(700_000).fill(7))
    pages.free(large)
    expect(pages.isWasteful).toBe(false)
  })
})
