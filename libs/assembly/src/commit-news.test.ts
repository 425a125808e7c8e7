import { message, type Message } from '@conclave/raft'
import { describe, expect, test } from 'vitest'
import { CommitNews } from './commit-news.ts'

const data = new Uint8Array(1)
const news = (to: number, commit: number): Message => message({ type: 'MsgApp', to, commit })
const entries = (to: number, commit: number): Message => {
  const entry = { type: 'EntryNormal', term: 1, index: commit + 1, data } as const
  return message({ type: 'MsgApp', to, commit, entries: [entry] })
}
const nobody = (): boolean => false

describe('news of a commit', () => {
  const timers: (() => void)[] = []
  const sent: Message[] = []
  const after = (_: number, run: () => void): (() => void) => {
    timers.push(run)
    return () => void timers.splice(timers.indexOf(run), 1)
  }
  const look = (): void => timers.shift()?.()
  const begin = (): CommitNews => {
    timers.length = 0
    sent.length = 0
    return new CommitNews(after, (messages) => sent.push(...messages))
  }

  test('waits when it says nothing else, and leaves when nothing follows', () => {
    const held = begin()
    const heartbeat = message({ type: 'MsgHeartbeat', to: 2 })

    expect(held.sift([news(2, 5), heartbeat, entries(3, 5)], nobody)).toEqual([
      heartbeat,
      entries(3, 5),
    ])
    look()
    expect(sent).toEqual([])
    look()
    expect(sent).toEqual([news(2, 5)])
    expect(timers).toEqual([])
  })

  test('is dropped for entries that say it too, and replaced by later news', () => {
    const held = begin()
    held.sift([news(2, 5), news(3, 5)], nobody)
    held.sift([entries(2, 6), news(3, 6)], nobody)

    look()
    look()

    expect(sent).toEqual([news(3, 6)])
  })

  test('that came while something was held waits as long as that did', () => {
    const held = begin()
    held.sift([news(2, 5)], nobody)
    look()
    held.sift([news(3, 6)], nobody)

    look()
    expect(sent).toEqual([news(2, 5)])
    look()
    expect(sent).toEqual([news(2, 5), news(3, 6)])
  })

  test('does not wait for a peer whose callers do', () => {
    const held = begin()
    held.sift([news(2, 5)], nobody)

    expect(held.sift([news(2, 6)], (peer) => peer === 2)).toEqual([news(2, 6)])
    look()
    look()
    expect(sent).toEqual([])
  })

  test('stays with a member that is stopped', () => {
    const held = begin()
    held.sift([news(2, 5)], nobody)

    held.stop()

    expect(timers).toEqual([])
  })
})
