import { randomBytes } from 'node:crypto'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { ShareCollector, ShareRefused, splitUnlockKey } from './unlock-shares.ts'

const keyOf = (): RedactedBytes => new Redacted(new Uint8Array(randomBytes(32)))

async function combined(shares: readonly RedactedBytes[]): Promise<Uint8Array> {
  const collector = new ShareCollector()
  for (const share of shares) collector.add(share)
  return (await collector.combine()).reveal()
}

describe('RT17: shares of an unlock key', () => {
  test.each([
    [2, 2],
    [3, 2],
    [5, 3],
    [255, 2],
    [255, 255],
  ])('ST-09: of %i any %i make the key, in any order', async (shares, threshold) => {
    const key = keyOf()
    const texts = await splitUnlockKey(key, { shares, threshold })

    expect(await combined(texts.slice(0, threshold))).toEqual(key.reveal())
    expect(await combined(texts.slice(-threshold).toReversed())).toEqual(key.reveal())
  })

  test('have one text form, and blanks around it do not matter', async () => {
    const key = keyOf()
    const texts = await splitUnlockKey(key, { shares: 3, threshold: 2 })
    for (const text of texts) expect(utf8Text(text.reveal())).toMatch(/^CNSHARE-1-[\w-]{59}$/)

    const blank = texts.map((text) => new Redacted(utf8(`  ${utf8Text(text.reveal())}\n`)))

    expect(await combined(blank.slice(1))).toEqual(key.reveal())
  })

  test('that were printed once make the same key for ever', async () => {
    const printed = [
      'CNSHARE-1-AqfHpaNG6NtuXwv2_kn7AgWBstqx001lyUroZuvlz8vTlIKADMsaRY-ygEI',
      'CNSHARE-1-AqfHpaNG6E1lGxeCGDKaGRfPs9AwTKpN1o4OyY0f0EHzWvNxukiaJVL7Lk4',
      'CNSHARE-1-AqfHpaNG6Gd01FBONSToCf5lx7VMn_PCDUkjGah1Cyzx-IAKktySI1LMDS8',
    ].map((text) => new Redacted(utf8(text)))
    const key = Uint8Array.from({ length: 32 }, (_, at) => at)

    expect(await combined(printed.slice(0, 2))).toEqual(key)
    expect(await combined(printed.slice(1))).toEqual(key)
  })

  test('stay whose they are: nothing of a text is changed, and a collector forgets when it is told to', async () => {
    const texts = await splitUnlockKey(keyOf(), { shares: 2, threshold: 2 })
    const before = texts.map((text) => text.reveal().slice())
    const collector = new ShareCollector()
    for (const text of texts) collector.add(text)
    expect(collector.missing).toBe(0)

    collector.wipe()

    expect(collector.missing).toBe(2)
    expect(texts.map((text) => text.reveal())).toEqual(before)
  })

  test('ST-09: fewer than needed give nothing, whatever is tried with them', async () => {
    const [first, second] = await splitUnlockKey(keyOf(), { shares: 5, threshold: 3 })
    const collector = new ShareCollector()
    collector.add(first ?? keyOf())
    collector.add(second ?? keyOf())

    expect(collector.missing).toBe(1)
    await expect(collector.combine()).rejects.toThrow(ShareRefused)
  })

  test('ST-09: one that was given already, or is of another set, is refused, and the others still count', async () => {
    const key = keyOf()
    const [first, second] = await splitUnlockKey(key, { shares: 3, threshold: 2 })
    const [foreign] = await splitUnlockKey(key, { shares: 3, threshold: 2 })
    const collector = new ShareCollector()
    collector.add(first ?? key)

    expect(() => collector.add(first ?? key)).toThrow(/given already/)
    expect(() => collector.add(foreign ?? key)).toThrow(/another set/)

    collector.add(second ?? key)
    expect((await collector.combine()).reveal()).toEqual(key.reveal())
  })

  test('one letter that is off is noticed before anything is tried', async () => {
    const [share] = await splitUnlockKey(keyOf(), { shares: 2, threshold: 2 })
    const text = utf8Text((share ?? keyOf()).reveal())
    for (let at = 0; at < text.length; at++) {
      const letter = text[at] === 'A' ? 'B' : 'A'
      const off = new Redacted(utf8(text.slice(0, at) + letter + text.slice(at + 1)))
      expect(() => new ShareCollector().add(off)).toThrow(ShareRefused)
    }
  })

  test.each([
    [1, 1],
    [2, 3],
    [256, 2],
    [5, 1],
  ])('there are no %i shares of which %i are enough', async (shares, threshold) => {
    await expect(splitUnlockKey(keyOf(), { shares, threshold })).rejects.toThrow(ShareRefused)
  })
})
