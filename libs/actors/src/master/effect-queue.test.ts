import type { ClusterEffect, RecordChange } from '@conclave/cluster'
import { utf8 } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EffectQueue } from './effect-queue.ts'

const put = (key: string, value = key, sizeBytes = 1): RecordChange => ({
  key,
  value: utf8(value.padEnd(sizeBytes)),
})
const commit = (...changes: RecordChange[]): ClusterEffect => ({ do: 'commit', changes })
const say = (name: string): ClusterEffect => ({ do: 'close-framework', streamId: name })

/** A log that agrees when a test says so. */
function world() {
  const commits: { keys: string[]; agreed: PromiseWithResolvers<void> }[] = []
  const said: string[] = []
  const failures: unknown[] = []
  const queue = new EffectQueue({
    commit: (changes) => {
      const agreed = Promise.withResolvers<void>()
      commits.push({ keys: changes.map(({ key }) => key), agreed })
      return agreed.promise
    },
    perform: (effect) => {
      if (effect.do === 'close-framework') said.push(effect.streamId)
    },
    onFailed: (error) => failures.push(error),
  })
  /** The `index`th commit is in the log. */
  const agree = async (index: number): Promise<void> => {
    commits[index]?.agreed.resolve()
    for (let turns = 0; turns < 5; turns++) await Promise.resolve()
  }
  return { queue, commits, said, failures, agree }
}

describe('CL5: what the core decided is carried out in its order', () => {
  test('what is said behind a commit waits for it, and for no other', async () => {
    const { queue, said, agree } = world()

    queue.push([say('before'), commit(put('a')), say('a')])
    queue.push([commit(put('b')), say('b')])
    expect(said).toEqual(['before'])
    await agree(0)
    expect(said).toEqual(['before', 'a'])
    await agree(1)

    expect(said).toEqual(['before', 'a', 'b'])
  })

  test('what is decided while a commit is under way goes into the next one together', async () => {
    const { queue, commits, said, agree } = world()

    queue.push([commit(put('first'))])
    for (const name of ['a', 'b', 'c']) queue.push([commit(put(name)), say(name)])
    await agree(0)

    expect(commits.map(({ keys }) => keys)).toEqual([['first'], ['a', 'b', 'c']])
    expect(said).toEqual([])
    await agree(1)
    expect(said).toEqual(['a', 'b', 'c'])
  })

  test('five hundred launches are a few transactions', () => {
    const { queue, commits } = world()
    const names = Array.from({ length: 500 }, (_, index) => `task-${index}`)

    queue.push(names.flatMap((name) => [commit(put(name)), say(name)]))

    expect(commits.length).toBeLessThanOrEqual(5)
    expect(commits.flatMap(({ keys }) => keys)).toEqual(names.slice(0, commits.length * 100))
  })

  test('what is too large to be put together is not', async () => {
    const { queue, commits, agree } = world()

    queue.push([commit(put('a', 'a', 800_000)), commit(put('b', 'b', 800_000)), commit(put('c'))])
    await agree(0)

    expect(commits.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c']])
  })

  test('one commit that is larger than that stays one', () => {
    const { queue, commits } = world()
    const many = Array.from({ length: 385 }, (_, index) => put(`grant-${index}`))

    queue.push([commit(put('a')), commit(...many), commit(put('b'))])

    expect(commits.map(({ keys }) => keys.length)).toEqual([1, 385])
  })

  test('of two changes of one record the later one is kept', async () => {
    const { queue, commits, agree } = world()

    queue.push([commit(put('first'))])
    queue.push([commit(put('a', 'old')), commit({ key: 'b' }), commit(put('a', 'new'))])
    await agree(0)

    expect(commits[1]?.keys).toEqual(['a', 'b'])
  })

  test('nothing happens behind a commit that failed', async () => {
    const { queue, commits, said, failures, agree } = world()
    const error = new Error('another term has begun')

    queue.push([commit(put('a')), say('a')])
    queue.push([commit(put('b')), say('b')])
    commits[0]?.agreed.reject(error)
    await agree(1)
    queue.push([say('late')])

    expect(failures).toEqual([error])
    expect(said).toEqual([])
    expect(commits.length).toBe(1)
  })

  test('whoever waits for all that was decided waits for all of it', async () => {
    const { queue, agree } = world()
    queue.push([commit(put('a'))])
    queue.push([commit(put('b'))])
    let isSettled = false

    void queue.settled().then(() => (isSettled = true))
    await agree(0)
    expect(isSettled).toBe(false)
    await agree(1)

    expect(isSettled).toBe(true)
  })

  test('any order of decisions and answers leaves the same records, and nothing is said too early', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('decide' as const), key: fc.nat(5), value: fc.nat(99) }),
      fc.record({ do: fc.constant('agree' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const wanted = new Map<string, string>()
        const stored = new Map<string, string>()
        const pending: { changes: readonly RecordChange[]; agreed: () => void }[] = []
        const tooEarly: string[] = []
        const queue = new EffectQueue({
          commit: (changes) => new Promise((resolve) => pending.push({ changes, agreed: resolve })),
          perform: (effect) => {
            if (effect.do !== 'close-framework') return
            const [key = '', serial = ''] = effect.streamId.split('=')
            if (Number(stored.get(key) ?? -1) < Number(serial)) tooEarly.push(effect.streamId)
          },
          onFailed: (error) => tooEarly.push(String(error)),
        })
        const agree = async (): Promise<void> => {
          const first = pending.shift()
          for (const { key, value } of first?.changes ?? [])
            stored.set(key, Buffer.from(value ?? []).toString())
          first?.agreed()
          for (let turns = 0; turns < 5; turns++) await Promise.resolve()
        }
        for (const [serial, one] of steps.entries()) {
          if (one.do === 'agree') {
            await agree()
            continue
          }
          const key = `k${one.key}`
          wanted.set(key, `${serial}`)
          queue.push([commit(put(key, `${serial}`)), say(`${key}=${serial}`)])
        }
        while (pending.length > 0) await agree()

        expect(tooEarly).toEqual([])
        expect(stored).toEqual(wanted)
      }),
    )
  })
})
