import { utf8, utf8Text } from '@conclave/kernel'
import { Unavailable, type KeyTxn, type SecretStore, type TxnResult } from '@conclave/store'
import { MemoryStore } from '@conclave/store/testing'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { copyState, copyUnderWay, digestOf, discardCopy, recordsOf } from './copy-state.ts'
import { TargetNotEmpty, TransferDiffers } from './errors.ts'
import { someState } from './testing/some-state.ts'

const empty = (): SecretStore =>
  new MemoryStore({ clock: new ManualClock(), random: new SeededRandom(1) }).client()

/** Breaks off after so many transactions. */
function failingAfter(store: SecretStore, count: number): SecretStore {
  let left = count
  const txn = async (one: KeyTxn): Promise<TxnResult> => {
    if (left-- <= 0) throw new Unavailable('it broke off')
    return store.txn(one)
  }
  const { traits } = store
  const limits = { ...traits.limits, txnOpsMax: 4 }
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'txn') return txn
      if (name === 'traits') return { ...traits, limits }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const many = someState(
  Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k/${at}`, `${at}`])),
)

async function valuesIn(store: SecretStore): Promise<Readonly<Record<string, string>>> {
  const values: Record<string, string> = {}
  for await (const { key, value } of recordsOf(store)) values[key] = utf8Text(value)
  return values
}

describe('TF4: a copy', () => {
  test('has all that the source has, and nothing else', async () => {
    const target = empty()

    const report = await copyState(many, target)

    expect(report).toMatchObject({ recordCount: 20, resumedAt: 0, manifest: many.manifest })
    expect(await digestOf(target)).toEqual({ count: 20, digest: report.digest })
    expect(Object.keys(await valuesIn(target))).toHaveLength(20)
    expect((await target.list('')).kvs).toHaveLength(20)
  })

  test('is gone on with where it was interrupted, however often', async () => {
    const target = empty()
    const whole = await copyState(many, empty())
    for (let count = 0; count < 3; count++) {
      await expect(copyState(many, failingAfter(target, 2))).rejects.toThrow(Unavailable)
      expect(await copyUnderWay(target)).toEqual(many.manifest)
    }

    const report = await copyState(many, target)

    expect(report.resumedAt).toBeGreaterThan(0)
    expect(report).toMatchObject({ recordCount: 20, digest: whole.digest })
    expect(await copyUnderWay(target).catch((error: unknown) => error)).toBeInstanceOf(
      TargetNotEmpty,
    )
  })

  test('never goes into a store that holds something else, or a part of another state', async () => {
    const target = empty()
    await target.put('somebody', utf8('is here'))
    await expect(copyState(many, target)).rejects.toThrow(TargetNotEmpty)
    expect(await valuesIn(target)).toEqual({ somebody: 'is here' })

    const half = empty()
    await expect(copyState(many, failingAfter(half, 3))).rejects.toThrow(Unavailable)
    const later = { ...many, manifest: { ...many.manifest, revision: 99 } }
    await expect(copyState(later, half)).rejects.toThrow(TargetNotEmpty)

    expect(await discardCopy(half)).toBeGreaterThan(0)
    expect(await copyState(later, half)).toMatchObject({ recordCount: 20, resumedAt: 0 })
  })

  test('is not called done when what arrived is something else', async () => {
    const target = empty()
    const meddling = failingAfter(target, Infinity)
    let count = 0

    const copying = copyState(many, meddling, () => {
      if (++count === 10) void target.put('k/0', utf8('changed by another'))
    })

    await expect(copying).rejects.toThrow(TransferDiffers)
  })

  test('of a source that breaks off is not done', async () => {
    const target = empty()
    const broken = someState({ a: '1', b: '2' }, 1)

    await expect(copyState(broken, target)).rejects.toThrow('broke off')

    expect(await copyUnderWay(target)).toEqual(broken.manifest)
    expect(await copyState(someState({ a: '1', b: '2' }), target)).toMatchObject({ recordCount: 2 })
  })
})
