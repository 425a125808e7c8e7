import { utf8, utf8Text } from '@conclave/kernel'
import { silentLog, type Conversation } from '@conclave/runtime'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { decodeFrame, encodeFrame, type LineFrame } from './frame.ts'
import { windowBytes } from './line.ts'
import { Lines } from './lines.ts'

/** Two members, and what lies between them: it loses what it is told to. */
class Pair {
  readonly left: Lines
  readonly right: Lines
  readonly opened: { opening: string; line: Conversation }[] = []
  /** Whether the next frame is lost. */
  loses = (_frame: LineFrame): boolean => false
  /** Frames that passed or were lost. */
  seen: LineFrame[] = []

  constructor(answer: (question: string) => Promise<string> = async (question) => question) {
    const rest = { turnsPerSecond: 1, log: silentLog }
    const nobody = { onAsk: undefined, onOpen: undefined, ...rest }
    this.left = new Lines({ ...nobody, say: (frame) => this.#pass(frame, () => this.right) })
    this.right = new Lines({
      ...rest,
      say: (frame) => this.#pass(frame, () => this.left),
      onAsk: async (question) => utf8(await answer(utf8Text(question))),
      onOpen: (opening, line) => this.opened.push({ opening: utf8Text(opening), line }),
    })
  }

  turn(): void {
    this.left.turn()
    this.right.turn()
  }

  async #pass(frame: LineFrame, to: () => Lines): Promise<void> {
    this.seen.push(frame)
    const isLost = this.loses(frame)
    await Promise.resolve()
    if (!isLost) to().received(decodeFrame(encodeFrame(frame)) as LineFrame)
  }
}

const soon = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

async function allOf(line: Conversation): Promise<string[]> {
  const heard: string[] = []
  for await (const bytes of line.heard()) heard.push(utf8Text(bytes))
  return heard
}

describe('PR10: a peer', () => {
  test('is asked, and answers once; many at a time', async () => {
    const pair = new Pair(async (question) => `${question}, indeed`)
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((question) => pair.left.ask(utf8(question), 1000)),
    )
    expect(answers.map((bytes) => utf8Text(bytes))).toEqual(['a, indeed', 'b, indeed', 'c, indeed'])
    await soon()
    expect([pair.left.count, pair.right.count]).toEqual([0, 0])
  })

  test('that does not answer, or refuses, is not waited for', async () => {
    const silent = new Pair(() => new Promise(() => undefined))
    await expect(silent.left.ask(utf8('a'), 10)).rejects.toMatchObject({ code: 'link.refused' })
    await soon()
    expect([silent.left.count, silent.right.count]).toEqual([0, 0])
    const { right } = new Pair()
    await expect(right.ask(utf8('nobody answers there'), 1000)).rejects.toThrow('no answer')
  })
})

describe('PR11: a conversation', () => {
  test('goes both ways in its order, and ends for both when one hangs up', async () => {
    const pair = new Pair()
    const line = pair.left.open(utf8('about'), 1000)
    await soon()
    const [there] = pair.opened
    expect(there?.opening).toBe('about')
    for (const word of ['one', 'two', 'three']) line.say(utf8(word))
    there?.line.say(utf8('yes'))
    there?.line.say(utf8('bye'))
    there?.line.hangUp()
    expect(await allOf(line)).toEqual(['yes', 'bye'])
    expect([pair.left.count, pair.right.count]).toEqual([0, 0])
  })

  test('holds back who says more than is read, and nobody else', async () => {
    const pair = new Pair()
    const line = pair.left.open(utf8('about'), 1000)
    await soon()
    const there = pair.opened[0]?.line
    const piece = new Uint8Array(32 * 1024)
    for (let count = 0; count < 100; count++) there?.say(piece)
    await soon()
    const passed = pair.seen.filter(({ verb }) => verb === 'said').length
    expect(passed * piece.length).toBe(windowBytes)
    let hasRoom = false
    void there?.room().then(() => (hasRoom = true))
    expect(utf8Text(await pair.left.ask(utf8('and you?'), 1000))).toBe('and you?')
    expect(hasRoom).toBe(false)

    there?.hangUp()
    expect(await allOf(line)).toHaveLength(100)
    expect([pair.left.count, pair.right.count]).toEqual([0, 0])
  })

  test('is heard to its end by who reads it late, also when it was hung up on long ago', async () => {
    const pair = new Pair()
    const line = pair.left.open(utf8('about'), 1000)
    await soon()
    const there = pair.opened[0]?.line
    for (let count = 0; count < 100; count++) there?.say(new Uint8Array(32 * 1024))
    there?.hangUp()
    for (let seconds = 0; seconds < 60; seconds++) {
      pair.turn()
      await soon()
    }

    expect(await allOf(line)).toHaveLength(100)
    expect([pair.left.count, pair.right.count]).toEqual([0, 0])
  })

  test('is over at both ends when one of them is lost, or says nothing for long', async () => {
    const pair = new Pair()
    const line = pair.left.open(utf8('about'), 1000)
    await soon()
    const there = pair.opened[0]?.line
    there?.say(utf8('last'))
    await soon()
    pair.right.lose()
    line.say(utf8('anybody?'))
    expect(await allOf(line)).toEqual(['last'])

    const other = pair.left.open(utf8('about'), 1000)
    await soon()
    pair.loses = () => true
    for (let seconds = 0; seconds < 12; seconds++) pair.turn()
    expect(await allOf(other)).toEqual([])
    expect([pair.left.count, pair.right.count]).toEqual([0, 0])
  })

  test('is heard as it was said, up to where something was lost, and then it is over for both', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { maxLength: 60 }),
        fc.array(fc.nat(70_000), { maxLength: 12 }),
        async (losses, sizes) => {
          const pair = new Pair()
          const line = pair.left.open(utf8('about'), 1000)
          await soon()
          const there = pair.opened[0]?.line
          if (there === undefined) throw new Error('nobody was asked')
          let at = 0
          pair.loses = () => losses[at++] ?? false
          const said = sizes.map((size, index) => `${index} ${'x'.repeat(size)}`)
          for (const text of said) there.say(utf8(text))
          there.hangUp()
          const heard = allOf(line)
          for (let seconds = 0; seconds < 15; seconds++) {
            pair.turn()
            await soon()
          }
          expect(said.slice(0, (await heard).length)).toEqual(await heard)
          const isWhole = (await heard).length === said.length
          expect(isWhole || losses.includes(true)).toBe(true)
          expect([pair.left.count, pair.right.count]).toEqual([0, 0])
        },
      ),
      { numRuns: 60 },
    )
  })

  test('beyond so many of a peer is refused', async () => {
    const pair = new Pair()
    for (let count = 0; count < 600; count++) pair.left.open(utf8('about'), 1000)
    await soon()
    await soon()
    expect([pair.left.count, pair.right.count]).toEqual([512, 512])
  })
})
