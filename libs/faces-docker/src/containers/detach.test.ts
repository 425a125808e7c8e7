import { describe, expect, test } from 'vitest'
import { detachKeysOf, DetachWatch } from './detach.ts'

/** What goes on to the program of these pieces, and whether its client left. */
function typed(keys: string, ...pieces: readonly string[]): readonly [string, boolean] {
  const watch = new DetachWatch(detachKeysOf(keys) ?? [])
  let text = ''
  for (const piece of pieces) {
    const { bytes, isDetached } = watch.take(Buffer.from(piece, 'latin1'))
    text += Buffer.from(bytes).toString('latin1')
    if (isDetached) return [text, true]
  }
  return [text, false]
}

describe('DK45: the keys by which a client leaves a terminal', () => {
  test.each<readonly [string, readonly string[], string, boolean]>([
    ['', ['ls\r'], 'ls\r', false],
    ['', ['a\x10\x11b'], 'a', true],
    ['', ['a\x10', '\x11'], 'a', true],
    ['', ['a\x10', 'b'], 'a\x10b', false],
    ['', ['\x10\x10', '\x11'], '\x10', true],
    ['', ['\x11'], '\x11', false],
    ['a,b,c', ['ab', 'abc'], 'ab', true],
    ['ctrl-@', ['x\0y'], 'x', true],
    ['DEL', ['x\x7f'], 'x', true],
  ])('%j and %j leave the program %j', (keys, pieces, text, isDetached) => {
    expect(typed(keys, ...pieces)).toEqual([text, isDetached])
  })

  test.each(['ctrl-', 'ctrl-1', 'ab', 'ctrl-a,', 'é'])('are none in %j', (keys) => {
    expect(detachKeysOf(keys)).toBeUndefined()
  })
})
