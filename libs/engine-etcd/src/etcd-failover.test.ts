import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '@conclave/kernel'
import { OutcomeUnknown, Unavailable, type SecretStore, type WriteOptions } from '@conclave/store'
import { eventually } from '@conclave/testkit'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EtcdElection } from './client/etcd-election.ts'
import { clientOf, freshPrefix, realEtcd, storeAt, whyNoEtcd } from './testing/real-etcd.ts'

/**
 * Asks again with the same session until it is told, or until the test is over: a store that is closed
 * says so at once, and whoever asks it again at once lets nothing else happen in the process.
 */
async function putForSure(
  store: SecretStore,
  key: string,
  options: WriteOptions,
  over: AbortSignal,
): Promise<number> {
  for (;;) {
    try {
      return (await store.put(key, utf8(key), options)).version
    } catch (error) {
      if (!(error instanceof OutcomeUnknown || error instanceof Unavailable)) throw error
      await sleep(10, undefined, { signal: over })
    }
  }
}

describe.skipIf(whyNoEtcd !== undefined)(`etcd that loses members ${whyNoEtcd ?? ''}`, () => {
  const cluster = realEtcd()

  test('EE3: kill -9 of one member after the other loses no acknowledged write, and no watch misses one', async ({
    signal: over,
  }) => {
    const prefix = freshPrefix()
    const count = 40
    const writers = [0, 1, 2].map(() => storeAt(cluster(), prefix))
    const reader = storeAt(cluster(), prefix)
    onTestFinished(async () => {
      for (const store of [...writers, reader]) await store.close()
    })
    const { revision } = await reader.put('seed', utf8(''))
    const wanted = writers.length * count
    let acknowledged = 0
    const ending = new AbortController()
    const told: string[] = []
    const watching = (async () => {
      const batches = reader.watch('w/', { from: revision + 1, signal: ending.signal })
      for await (const { events } of batches) {
        told.push(...events.map(({ key }) => key))
        if (told.length >= wanted) ending.abort()
      }
    })()
    const whenWritten = (some: number): Promise<void> => eventually(() => acknowledged >= some)
    const disturbing = (async () => {
      for (const [at, name] of cluster().names.entries()) {
        await whenWritten((at * wanted) / 4 + 5)
        await cluster().kill(name)
        await whenWritten((at * wanted) / 4 + 20)
        await cluster().restart(name)
      }
    })()

    const versions = await Promise.all(
      writers.map(async (store, who) => {
        const made: number[] = []
        for (let seq = 1; seq <= count; seq++) {
          const session = { client: `writer-${who}`, seq }
          made.push(await putForSure(store, `w/${who}/${seq}`, { session }, over))
          acknowledged++
        }
        return made
      }),
    )
    await disturbing
    await watching

    // Applied once each, whatever was repeated.
    expect(new Set(versions.flat())).toEqual(new Set([1]))
    const { kvs } = await reader.list('w/')
    expect(kvs).toHaveLength(wanted)
    expect(kvs.every(({ version }) => version === 1)).toBe(true)
    expect(told).toHaveLength(wanted)
    expect(new Set(told).size).toBe(wanted)
  }, 60_000)

  test('EE4: an election has one leader, and the next one leads when it resigns or its lease ends', async () => {
    const prefix = utf8(`${freshPrefix()}/`)
    const client = clientOf(cluster())
    onTestFinished(() => client.close())
    const election = new EtcdElection(client, prefix)
    const { signal } = new AbortController()
    await Promise.all([1001, 1002, 1003].map((lease) => client.grantLease(lease, 60)))

    const first = await election.campaign(1001, utf8('first'), signal)
    const second = election.campaign(1002, utf8('second'), signal)
    expect((await election.leader())?.value).toEqual(utf8('first'))
    if (first !== undefined) await election.resign(first)
    expect((await second)?.createRevision).toBeGreaterThan(first?.createRevision ?? Infinity)
    expect((await election.leader())?.value).toEqual(utf8('second'))

    const third = election.campaign(1003, utf8('third'), signal)
    await client.revokeLease(1002)
    expect(await third).toBeDefined()
    expect((await election.leader())?.value).toEqual(utf8('third'))

    const giving = new AbortController()
    await client.grantLease(1004, 60)
    const fourth = election.campaign(1004, utf8('fourth'), giving.signal)
    giving.abort()
    expect(await fourth).toBeUndefined()
  })
})
