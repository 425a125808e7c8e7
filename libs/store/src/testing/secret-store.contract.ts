import { utf8, utf8Text } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  Compacted,
  Conflict,
  LeaseUnknown,
  RevisionAhead,
  SessionStale,
  TxnInvalid,
  Unavailable,
} from '../errors.ts'
import type { KeyOp, KeyTxn, SecretStore, WatchOptions, WriteOptions } from '../secret-store.ts'
import type { Compare } from '../txn.ts'
import type { KeyValue, WatchBatch, WatchEvent } from '../view.ts'
import { anyKeyTxn } from './arbitrary-command.ts'
import { NaiveStore } from './naive-store.ts'

/** What an engine's author hands over: a store for each test, empty and its own. It is closed by them. */
export interface StoreUnderTest {
  readonly store: SecretStore
  /** One more client of the same store, on another member where there are several. */
  readonly another: () => Promise<SecretStore>
  /** Lets this much time pass for leases. An engine on a real clock need not do anything. */
  readonly elapse: (ms: number) => Promise<void>
}

export interface ContractOptions {
  /** How many random histories are compared with the model. */
  readonly historyCount?: number
}

const put = (key: string, value = key): KeyOp => ({ do: 'put', key, value: utf8(value) })
const claim = (key: string, is: '=' | '!=' | '<' | '>', operand: number): Compare => ({
  key,
  target: 'version',
  is,
  operand,
})

const session = (seq: number): WriteOptions => ({ session: { client: 'ada', seq } })

/** The first thing that a watch says. */
const firstOf = (batches: AsyncIterable<WatchBatch>): Promise<IteratorResult<WatchBatch>> =>
  batches[Symbol.asyncIterator]().next()

/** Batches of a watch, until there are as many; the watch is then ended. */
async function take(
  store: SecretStore,
  prefix: string,
  count: number,
  options: Omit<WatchOptions, 'signal'> = {},
): Promise<readonly WatchBatch[]> {
  const ending = new AbortController()
  const batches: WatchBatch[] = []
  for await (const batch of store.watch(prefix, { ...options, signal: ending.signal })) {
    batches.push(batch)
    if (batches.length >= count) ending.abort()
  }
  return batches
}

const shown = (event: WatchEvent): string =>
  event.type === 'put' ? `${event.key}=${utf8Text(event.kv.value)}` : `-${event.key}`

const allShown = (batches: readonly WatchBatch[]): readonly (readonly string[])[] =>
  batches.map(({ events }) => events.map(shown))

async function keysOf(store: SecretStore, prefix = ''): Promise<readonly string[]> {
  const { kvs } = await store.list(prefix)
  return kvs.map(({ key }) => key)
}

/** Adds one to a decimal counter, however many others do the same. */
async function increment(store: SecretStore, key: string): Promise<void> {
  for (;;) {
    const known = await store.get(key)
    const value = utf8(`${Number(known === undefined ? 0 : utf8Text(known.value)) + 1}`)
    try {
      await store.put(key, value, { ifModRevision: known?.modRevision ?? 0 })
      return
    } catch (error) {
      if (!(error instanceof Conflict)) throw error
    }
  }
}

/** The contract of `SecretStore`, SS1 to SS12 of the README, for one engine. */
export function secretStoreContract(
  engine: string,
  make: () => Promise<StoreUnderTest>,
  { historyCount = 100 }: ContractOptions = {},
): void {
  describe(`${engine}: keys and values`, () => {
    test('SS1: a key is what was put last, with its numbers', async () => {
      const { store } = await make()

      const first = await store.put('a', utf8('1'))
      const second = await store.put('a', utf8('2'))

      expect(first.version).toBe(1)
      expect(second.version).toBe(2)
      expect(second.revision).toBeGreaterThan(first.revision)
      expect(await store.get('a')).toEqual({
        key: 'a',
        value: utf8('2'),
        createRevision: first.revision,
        modRevision: second.revision,
        version: 2,
      } satisfies KeyValue)
      expect(await store.get('b')).toBeUndefined()
    })

    test('SS1: any client sees what any other was told is done', async () => {
      const { store, another } = await make()
      const other = await another()

      for (let turn = 1; turn <= 10; turn++) {
        await store.put('turn', utf8(`${turn}`))
        expect(utf8Text((await other.get('turn'))?.value ?? utf8(''))).toBe(`${turn}`)
      }
    })

    test('SS1: values are any bytes, also none', async () => {
      const { store } = await make()
      const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)

      await store.put('bytes', bytes)
      await store.put('empty', new Uint8Array(0))

      expect((await store.get('bytes'))?.value).toEqual(bytes)
      expect((await store.get('empty'))?.value).toEqual(new Uint8Array(0))
    })

    test('SS5: keys are listed in the order of their UTF-8 bytes, and of a prefix only', async () => {
      const { store } = await make()
      const keys = ['a', 'a/', 'a/b', 'a0', 'b', 'ü', '\u{e000}', '\u{ffff}', '\u{1d4b3}']
      await store.txn({ compare: [], success: keys.toReversed().map((key) => put(key)) })

      expect(await keysOf(store)).toEqual(keys)
      expect(await keysOf(store, 'a')).toEqual(['a', 'a/', 'a/b', 'a0'])
      expect(await keysOf(store, 'a/')).toEqual(['a/', 'a/b'])
      expect(await keysOf(store, '\u{1d4b3}')).toEqual(['\u{1d4b3}'])
      expect(await keysOf(store, 'nothing')).toEqual([])
    })

    test('SS5: pages of one revision are the whole list of it, whatever is changed meanwhile', async () => {
      const { store } = await make()
      const keys = Array.from({ length: 10 }, (_, at) => `k/${at}`)
      await store.txn({ compare: [], success: [...keys, 'k', 'l'].map((key) => put(key)) })

      const paged: string[] = []
      let page = await store.list('k/', { limit: 3 })
      const { revision } = page
      for (;;) {
        paged.push(...page.kvs.map(({ key }) => key))
        if (!page.more) break
        await store.delete(`k/${paged.length}`)
        const after = paged.at(-1)
        page = await store.list('k/', {
          limit: 3,
          at: revision,
          ...(after !== undefined && { after }),
        })
        expect(page.revision).toBe(revision)
      }

      expect(paged).toEqual(keys)
    })

    test('SS5: values are left out when only keys are wanted', async () => {
      const { store } = await make()
      await store.put('a', utf8('value'))

      const { kvs, more } = await store.list('', { keysOnly: true })

      expect(kvs).toMatchObject([{ key: 'a', value: new Uint8Array(0), version: 1 }])
      expect(more).toBe(false)
    })

    test('SS4: any revision that is kept can be read', async () => {
      const { store } = await make()
      const { revision: before } = await store.put('a', utf8('1'))
      await store.put('a', utf8('2'))
      await store.delete('a')

      expect(await store.get('a', { at: before })).toMatchObject({ value: utf8('1') })
      expect((await store.list('', { at: before })).kvs).toHaveLength(1)
      const { revision } = await store.status()
      await expect(store.get('a', { at: revision + 1000 })).rejects.toThrow(RevisionAhead)
      await expect(store.list('', { at: revision + 1000 })).rejects.toThrow(RevisionAhead)
    })

    test('SS3: deleting says whether there was anything', async () => {
      const { store } = await make()
      await store.txn({ compare: [], success: [put('a'), put('b/1'), put('b/2'), put('b')] })

      expect(await store.delete('a')).toMatchObject({ isDeleted: true })
      expect(await store.delete('a')).toMatchObject({ isDeleted: false })
      expect(await store.deletePrefix('b/')).toMatchObject({ count: 2 })
      expect(await store.deletePrefix('b/')).toMatchObject({ count: 0 })
      expect(await keysOf(store)).toEqual(['b'])
    })
  })

  describe(`${engine}: transactions`, () => {
    test('SS2: happen whole, as one revision', async () => {
      const { store } = await make()
      await store.txn({ compare: [], success: [put('gone/1'), put('gone/2'), put('c', 'old')] })

      const { revision, succeeded, responses } = await store.txn({
        compare: [claim('c', '=', 1)],
        success: [put('a'), put('c'), { do: 'delete-prefix', prefix: 'gone/' }],
      })

      expect(succeeded).toBe(true)
      expect(responses).toEqual([1, 2, 2])
      const { kvs } = await store.list('')
      expect(kvs.map(({ key, modRevision }) => [key, modRevision])).toEqual([
        ['a', revision],
        ['c', revision],
      ])
    })

    test('SS3: change nothing when a claim does not hold, and use no revision', async () => {
      const { store } = await make()
      await store.put('a', utf8('kept'))
      const before = await store.status()

      const result = await store.txn({
        compare: [claim('a', '=', 1), claim('b', '>', 0)],
        success: [put('a', 'lost'), put('b')],
      })

      expect(result).toMatchObject({ succeeded: false, responses: [] })
      expect((await store.list('')).kvs).toMatchObject([{ key: 'a', value: utf8('kept') }])
      const after = await store.status()
      expectNoRevisionBetween(store, before.revision, after.revision)
      // Where others make revisions too, none of them may be ours.
      const { revision } = await store.put('b', utf8('next'))
      const batches = await take(store, '', 1, { from: before.revision + 1 })
      expect(batches.map((batch) => batch.revision)).toEqual([revision])
    })

    test('SS2: do the other thing when a claim does not hold', async () => {
      const { store } = await make()

      const { succeeded, responses } = await store.txn({
        compare: [claim('a', '>', 0)],
        success: [put('yes')],
        failure: [put('no/1'), put('no/2')],
      })

      expect(succeeded).toBe(false)
      expect(responses).toEqual([1, 1])
      expect(await keysOf(store)).toEqual(['no/1', 'no/2'])
    })

    test('SS4: a missing key has the numbers 0, and no claim about its value holds', async () => {
      const { store } = await make()
      const holds = async (...compare: readonly Compare[]): Promise<boolean> =>
        (await store.txn({ compare, success: [] })).succeeded

      for (const target of ['version', 'createRevision', 'modRevision'] as const) {
        expect(await holds({ key: 'a', target, is: '=', operand: 0 })).toBe(true)
        expect(await holds({ key: 'a', target, is: '>', operand: 0 })).toBe(false)
      }
      for (const is of ['=', '!=', '<', '>'] as const) {
        expect(await holds({ key: 'a', target: 'value', is, operand: utf8('') })).toBe(false)
      }
      const { revision } = await store.put('a', utf8('m'))
      expect(await holds({ key: 'a', target: 'modRevision', is: '=', operand: revision })).toBe(
        true,
      )
      expect(await holds({ key: 'a', target: 'value', is: '=', operand: utf8('m') })).toBe(true)
      expect(await holds({ key: 'a', target: 'value', is: '<', operand: utf8('n') })).toBe(true)
      expect(await holds({ key: 'a', target: 'value', is: '>', operand: utf8('ma') })).toBe(false)
      expect(await holds({ key: 'a', target: 'value', is: '!=', operand: utf8('m') })).toBe(false)
      expect(await holds(claim('a', '=', 1), claim('b', '=', 0))).toBe(true)
    })

    test('SS3: a put that expects another state is a conflict', async () => {
      const { store } = await make()
      const { revision } = await store.put('a', utf8('1'), { ifModRevision: 0 })

      await expect(store.put('a', utf8('2'), { ifModRevision: 0 })).rejects.toThrow(Conflict)
      await expect(store.delete('a', { ifModRevision: revision + 1 })).rejects.toThrow(Conflict)
      await store.put('a', utf8('3'), { ifModRevision: revision })

      expect(await store.get('a')).toMatchObject({ value: utf8('3'), version: 2 })
    })

    test('SS1: of writers that meet, none loses an increment', async () => {
      const { store, another } = await make()
      const writers = [store, await another(), await another(), store]

      await Promise.all(
        writers.map(async (writer) => {
          for (let turn = 0; turn < 10; turn++) await increment(writer, 'count')
        }),
      )

      expect(await store.get('count')).toMatchObject({ value: utf8('40'), version: 40 })
    })

    test('SS10: a limit is as large as it says, and what is larger is refused and changes nothing', async () => {
      const { store } = await make()
      const { keySizeBytesMax, valueSizeBytesMax, txnOpsMax } = store.traits.limits
      const key = 'k'.repeat(keySizeBytesMax)
      const value = new Uint8Array(valueSizeBytesMax).fill(7)
      const many = Array.from({ length: txnOpsMax }, (_, at) => put(`n/${at}`, ''))

      await store.put(key, value)
      await store.txn({ compare: [], success: many })

      expect((await store.get(key))?.value).toEqual(value)
      expect(await keysOf(store, 'n/')).toHaveLength(txnOpsMax)
      const { revision } = await store.status()
      await expect(store.put(`${key}k`, utf8(''))).rejects.toThrow(TxnInvalid)
      await expect(store.put('v', new Uint8Array(valueSizeBytesMax + 1))).rejects.toThrow(
        TxnInvalid,
      )
      await expect(store.txn({ compare: [], success: [...many, put('one-more')] })).rejects.toThrow(
        TxnInvalid,
      )
      expect(await keysOf(store)).toHaveLength(1 + txnOpsMax)
      expectNoRevisionBetween(store, revision, (await store.status()).revision)
    })

    test('SS10: a transaction changes a key once, and a key has at least one byte', async () => {
      const { store } = await make()
      const refused: readonly (readonly KeyOp[])[] = [
        [put('a'), put('a')],
        [put('a'), { do: 'delete', key: 'a' }],
        [put('a/b'), { do: 'delete-prefix', prefix: 'a/' }],
        [put('')],
        [{ do: 'delete', key: '' }],
        [{ do: 'delete-prefix', prefix: '' }],
      ]

      for (const success of refused) {
        await expect(store.txn({ compare: [], success })).rejects.toThrow(TxnInvalid)
      }
      expect(await keysOf(store)).toEqual([])
    })
  })

  describe(`${engine}: repetitions`, () => {
    test('SS9: are applied once, and answered as the first time, by whichever member', async () => {
      const { store, another } = await make()
      const other = await another()
      const first = await store.put('a', utf8('1'), session(1))
      const later = await other.put('b', utf8('b'))

      const again = await other.put('a', utf8('1'), session(1))
      const second = await store.put('a', utf8('2'), session(2))

      expect(again).toEqual(first)
      expect(second.version).toBe(2)
      expect(second.revision).toBeGreaterThan(later.revision)
    })

    test('SS9: of a delete do not delete what was made since', async () => {
      const { store } = await make()
      await store.txn({ compare: [], success: [put('a/1'), put('a/2')] })
      const first = await store.deletePrefix('a/', session(7))
      await store.put('a/3', utf8('since'))

      expect(await store.deletePrefix('a/', session(7))).toEqual(first)

      expect(first.count).toBe(2)
      expect(await keysOf(store)).toEqual(['a/3'])
    })

    test('SS9: of what was done because a claim did not hold are answered likewise', async () => {
      const { store } = await make()
      const txn: KeyTxn = {
        compare: [claim('a', '>', 0)],
        success: [put('yes')],
        failure: [put('a'), put('no')],
      }

      const first = await store.txn(txn, session(1))
      const again = await store.txn(txn, session(1))

      expect(first).toMatchObject({ succeeded: false, responses: [1, 1] })
      expect(again).toEqual(first)
      expect(await keysOf(store)).toEqual(['a', 'no'])
    })

    test('SS9: of a command before the last are refused', async () => {
      const { store } = await make()
      await store.put('a', utf8('1'), session(1))
      await store.put('a', utf8('2'), session(2))

      await expect(store.put('a', utf8('1'), session(1))).rejects.toThrow(SessionStale)

      expect(await store.get('a')).toMatchObject({ value: utf8('2') })
    })

    test('SS9: never let a claim that did not hold count as done', async () => {
      const { store } = await make()
      const guarded: KeyTxn = { compare: [claim('a', '=', 1)], success: [put('b')] }
      await store.put('first', utf8(''), session(1))

      expect(await store.txn(guarded, session(2))).toMatchObject({ succeeded: false })
      await store.put('a', utf8('a'), session(3))
      expect(await store.txn(guarded, session(4))).toMatchObject({ succeeded: true })

      expect(await keysOf(store)).toEqual(['a', 'b', 'first'])
    })

    test('SS9: leave nothing behind that a list or a watch would show', async () => {
      const { store } = await make()
      const { revision } = await store.put('a', utf8('1'), session(1))
      await store.put('a', utf8('2'), session(2))

      expect(await keysOf(store)).toEqual(['a'])
      const batches = await take(store, '', 2, { from: revision })
      expect(allShown(batches)).toEqual([['a=1'], ['a=2']])
    })
  })

  describe(`${engine}: watches`, () => {
    test('SS6: begin with the revision they name, and tell each as one batch in the order of keys', async () => {
      const { store } = await make()
      await store.put('before', utf8(''))
      const { revision } = await store.txn({ compare: [], success: [put('b'), put('a')] })
      await store.txn({ compare: [], success: [put('c'), { do: 'delete', key: 'a' }] })
      await store.put('b', utf8('new'))

      const batches = await take(store, '', 3, { from: revision })

      expect(batches[0]?.revision).toBe(revision)
      expect(allShown(batches)).toEqual([['a=a', 'b=b'], ['-a', 'c=c'], ['b=new']])
      expect(batches[1]?.events[0]?.previous).toMatchObject({ key: 'a', value: utf8('a') })
      expect(batches[2]?.events[0]?.previous).toMatchObject({ value: utf8('b'), version: 1 })
      expect(batches[0]?.events[0]).not.toHaveProperty('previous')
    })

    test('SS6: tell what is below their prefix, and nothing else', async () => {
      const { store } = await make()
      const { revision } = await store.txn({ compare: [], success: [put('a/1'), put('b/1')] })
      await store.put('b/2', utf8(''))
      await store.txn({ compare: [], success: [put('a/2'), put('a')] })

      expect(allShown(await take(store, 'a/', 2, { from: revision }))).toEqual([
        ['a/1=a/1'],
        ['a/2=a/2'],
      ])
    })

    test('SS6: tell what comes, as it comes', async () => {
      const { store, another } = await make()
      const { revision } = await store.put('seed', utf8(''))
      const told = take(store, '', 3, { from: revision + 1 })
      const other = await another()

      for (const key of ['a', 'b', 'c']) await other.put(key, utf8(''))

      expect(allShown(await told)).toEqual([['a='], ['b='], ['c=']])
    })

    test('SS6: lose nothing and repeat nothing, however often they are begun again', async () => {
      const { store, another } = await make()
      const { revision } = await store.put('seed', utf8(''))
      const writers = [store, await another(), await another()]
      const count = 15

      const watching = (async () => {
        const seen: WatchBatch[] = []
        let from = revision + 1
        while (seen.length < writers.length * count) {
          const left = writers.length * count - seen.length
          const part = await take(store, 'w/', Math.min(left, 1 + (seen.length % 4)), { from })
          seen.push(...part)
          from = (seen.at(-1)?.revision ?? 0) + 1
        }
        return seen
      })()
      await Promise.all(
        writers.map(async (writer, who) => {
          for (let turn = 0; turn < count; turn++) {
            await writer.txn({
              compare: [],
              success: [put(`w/${who}/a`, `${turn}`), put(`w/${who}/b`, `${turn}`)],
            })
          }
        }),
      )
      const seen = await watching

      const revisions = seen.map((batch) => batch.revision)
      expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b))
      for (const who of writers.keys()) {
        const own = allShown(seen).filter(([first]) => first?.startsWith(`w/${who}/`))
        expect(own).toEqual(
          Array.from({ length: count }, (_, turn) => [`w/${who}/a=${turn}`, `w/${who}/b=${turn}`]),
        )
      }
    })

    test('SS6: tell how far they are when nothing below the prefix changes, if asked to', async () => {
      const { store } = await make()
      const { revision } = await store.put('elsewhere', utf8(''))
      await store.put('elsewhere', utf8(''))

      const [batch] = await take(store, 'a/', 1, { from: revision, progress: true })

      expect(batch?.events).toEqual([])
      expect(batch?.revision).toBeGreaterThanOrEqual(revision)
    })

    test('SS6: end with their signal, and with their store', async () => {
      const { store, another } = await make()
      const other = await another()
      const ending = new AbortController()
      const bySignal = firstOf(store.watch('', { signal: ending.signal }))
      const byStore = firstOf(other.watch('', { signal: new AbortController().signal }))

      ending.abort()
      await other.close()

      expect(await bySignal).toMatchObject({ done: true })
      expect(await byStore).toMatchObject({ done: true })
      const ended = firstOf(store.watch('', { signal: ending.signal }))
      expect(await ended).toMatchObject({ done: true })
    })
  })

  describe(`${engine}: leases`, () => {
    test('SS7: take their keys along when they end by themselves, in one revision', async () => {
      const { store, elapse } = await make()
      const ttlMs = store.traits.leaseTtlMsMin
      const lease = await store.grantLease(ttlMs)
      await store.put('a', utf8(''), { lease })
      const { revision } = await store.put('b', utf8(''), { lease })
      await store.put('c', utf8(''))
      expect(await store.get('a')).toMatchObject({ lease })
      const gone = take(store, '', 1, { from: revision + 2 })

      await elapse(ttlMs)

      expect(allShown(await gone)).toEqual([['-a', '-b']])
      expect(await keysOf(store)).toEqual(['c'])
      await expect(store.keepAlive(lease)).rejects.toThrow(LeaseUnknown)
    })

    test('SS7: live on when they are kept alive', async () => {
      const { store, elapse } = await make()
      const ttlMs = 20 * store.traits.leaseTtlMsMin
      const lease = await store.grantLease(ttlMs)
      await store.put('a', utf8(''), { lease })

      await elapse(ttlMs * 0.75)
      expect(await store.keepAlive(lease)).toBe(ttlMs)
      await elapse(ttlMs * 0.75)

      expect(await keysOf(store)).toEqual(['a'])
    })

    test('SS7: end when they are revoked, and have nothing of a key that was put again without them', async () => {
      const { store } = await make()
      const lease = await store.grantLease(60_000)
      await store.txn({
        compare: [],
        success: ['a', 'b', 'c'].map((key) => ({ do: 'put', key, value: utf8(''), lease })),
      })
      await store.put('b', utf8('free'))
      await store.delete('c')
      await store.put('c', utf8('free'))

      await store.revokeLease(lease)

      expect(await keysOf(store)).toEqual(['b', 'c'])
      await expect(store.revokeLease(lease)).rejects.toThrow(LeaseUnknown)
      await expect(store.put('d', utf8(''), { lease })).rejects.toThrow(LeaseUnknown)
      expect(await keysOf(store)).toEqual(['b', 'c'])
    })

    test('SS7: shorter than the engine can keep are refused', async () => {
      const { store } = await make()

      await expect(store.grantLease(store.traits.leaseTtlMsMin - 1)).rejects.toThrow(TxnInvalid)
    })
  })

  describe(`${engine}: compaction`, () => {
    test('SS8: forgets what was overwritten, keeps what is, and says so', async () => {
      const { store } = await make()
      const { revision: first } = await store.put('a', utf8('1'))
      await store.put('b', utf8('b'))
      await store.put('a', utf8('2'))
      const { revision: last } = await store.delete('b')

      await store.compact(last)

      expect(await store.list('')).toMatchObject({
        kvs: [{ key: 'a', value: utf8('2'), version: 2 }],
      })
      expect(await store.get('a', { at: last })).toMatchObject({ version: 2 })
      expect((await store.status()).compactRevision).toBe(last)
      await expect(store.get('a', { at: first })).rejects.toThrow(Compacted)
      await expect(store.list('', { at: first })).rejects.toThrow(Compacted)
      await store.compact(first)
      await store.compact(last)
      await expect(store.compact(last + 1000)).rejects.toThrow(RevisionAhead)
    })

    test('SS8: ends a watch that begins at or below it, and no other', async () => {
      const { store } = await make()
      const { revision: first } = await store.put('a', utf8('1'))
      const { revision: second } = await store.put('a', utf8('2'))
      await store.put('a', utf8('3'))
      await store.compact(second)

      const below = take(store, '', 1, { from: first })
      await expect(below).rejects.toThrow(Compacted)
      await expect(below).rejects.toMatchObject({ compactRevision: second })
      await expect(take(store, '', 1, { from: second })).rejects.toThrow(Compacted)
      expect(allShown(await take(store, '', 1, { from: second + 1 }))).toEqual([['a=3']])
    })
  })

  describe(`${engine}: as a whole`, () => {
    test('SS11: says nothing more once it is closed', async () => {
      const { store } = await make()
      await store.close()

      await expect(store.get('a')).rejects.toThrow(Unavailable)
      await expect(store.put('a', utf8(''))).rejects.toThrow(Unavailable)
      await store.close()
    })

    test('SS12: answers and looks as the model that keeps a copy of every revision', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyKeyTxn, { maxLength: 12 }), async (txns) => {
          const { got, expected } = await besideTheModel((await make()).store, txns)
          expect(got).toEqual(expected)
        }),
        { numRuns: historyCount },
      )
    })
  })
}

/** Revisions of the model, as those of the store: the first is 0 in both. */
class Revisions {
  readonly #known: number[] = [0]

  get last(): number {
    return this.#known.at(-1) ?? 0
  }

  add(revision: number): void {
    this.#known.push(revision)
  }

  /** One that the model has not reached is one that the store has not reached. */
  of(model: number): number {
    return this.#known[model] ?? Number.MAX_SAFE_INTEGER
  }
}

/** What the store and the model said and look like, in the revisions of the store. */
async function besideTheModel(
  store: SecretStore,
  txns: readonly KeyTxn[],
): Promise<{ readonly got: readonly unknown[]; readonly expected: readonly unknown[] }> {
  const naive = new NaiveStore(1)
  const revisions = new Revisions()
  const got: unknown[] = []
  const expected: unknown[] = []
  for (const txn of txns) {
    const before = naive.revision
    const { succeeded, responses, revision } = naive.apply({ ...txn, nowMs: 0 })
    const result = await store.txn({ ...txn, compare: claimsInStore(txn.compare, revisions) })
    got.push({ succeeded: result.succeeded, responses: result.responses })
    expected.push({ succeeded, responses })
    if (revision > before) revisions.add(result.revision)
    else expectNoRevisionBetween(store, revisions.last, result.revision)
  }
  for (let model = 1; model <= naive.revision; model++) {
    got.push((await store.list('', { at: revisions.of(model) })).kvs)
    expected.push(naive.list('', model).map((kv) => inStore(kv, revisions)))
  }
  if (naive.revision === 0) return { got, expected }
  got.push(...(await take(store, '', naive.revision, { from: revisions.of(1) })))
  for (const { revision, events } of naive.history('', 1)) {
    expected.push({
      revision: revisions.of(revision),
      events: events.map((event) => eventInStore(event, revisions)),
    })
  }
  return { got, expected }
}

/** Others may have made revisions meanwhile where an engine is shared. */
function expectNoRevisionBetween({ traits }: SecretStore, before: number, after: number): void {
  const madeByUs = traits.revisions === 'own' ? after - before : 0
  expect(madeByUs).toBe(0)
}

const claimsInStore = (claims: readonly Compare[], revisions: Revisions): readonly Compare[] =>
  claims.map((claimed) =>
    claimed.target === 'createRevision' || claimed.target === 'modRevision'
      ? { ...claimed, operand: revisions.of(claimed.operand) }
      : claimed,
  )

const inStore = (kv: KeyValue, revisions: Revisions): KeyValue => ({
  ...kv,
  createRevision: revisions.of(kv.createRevision),
  modRevision: revisions.of(kv.modRevision),
})

function eventInStore(event: WatchEvent, revisions: Revisions): WatchEvent {
  const { previous } = event
  const known = previous === undefined ? {} : { previous: inStore(previous, revisions) }
  return event.type === 'put'
    ? { type: 'put', key: event.key, kv: inStore(event.kv, revisions), ...known }
    : { type: 'delete', key: event.key, ...known }
}
