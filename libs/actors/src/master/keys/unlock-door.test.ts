import { createUnlockKey, deriveKek, formatUnlockKey } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { LoginThrottled } from '../errors.ts'
import { UnlockRefused } from './errors.ts'
import { UnlockDoor } from './unlock-door.ts'

const random = new SeededRandom(3)
const unlockKey = createUnlockKey(random)
const kek = deriveKek(unlockKey)
const right = (): Redacted<Uint8Array> => new Redacted(formatUnlockKey(unlockKey).reveal().slice())

let clock: ManualClock
let tried: number
let door: UnlockDoor<string>

beforeEach(() => {
  clock = new ManualClock()
  tried = 0
  door = new UnlockDoor(clock, (one) => {
    tried++
    return Buffer.from(one.key.bytes()).equals(kek.key.bytes()) ? 'opened' : undefined
  })
})

describe('the door of a locked master', () => {
  test('opens for the unlock key, which is wiped', () => {
    const text = right()

    expect(door.try(text, '127.0.0.1')).toBe('opened')

    expect(text.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test.each([
    ['another key', formatUnlockKey(createUnlockKey(random))],
    ['no key at all', new Redacted(utf8('hello'))],
    ['nothing', new Redacted(new Uint8Array())],
    ['a key cut short', new Redacted(formatUnlockKey(unlockKey).reveal().slice(0, -1))],
  ])('ST-07: refuses %s with the same words after the same work', (_what, text) => {
    expect(() => door.try(text, '127.0.0.1')).toThrow(new UnlockRefused())
    expect(tried).toBe(1)
  })

  test('ST-07: lets nobody try without end, and keeps nobody else out', () => {
    for (let count = 0; count < 10; count++) {
      expect(() => door.try(new Redacted(utf8('wrong')), '10.0.0.1')).toThrow(UnlockRefused)
    }

    expect(() => door.try(right(), '10.0.0.1')).toThrow(LoginThrottled)
    expect(tried).toBe(10)
    expect(door.try(right(), '10.0.0.2')).toBe('opened')
    clock.advance(2000)
    expect(door.try(right(), '10.0.0.1')).toBe('opened')
  })
})
