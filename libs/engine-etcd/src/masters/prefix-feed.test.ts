import { utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import type { EtcdBatch } from '../client/etcd-watch.ts'
import { EtcdCompacted, EtcdUnreachable } from '../errors.ts'
import type { EtcdKeyValue, RangeRequest, RangeResponse } from '../wire/messages.ts'
import { followRange } from './prefix-feed.ts'

const kv = (key: string, modRevision: number): EtcdKeyValue => ({
  key: utf8(key),
  value: utf8(key),
  createRevision: modRevision,
  modRevision,
  version: 1,
  lease: 0,
})

const batch = (revision: number): EtcdBatch => ({
  revision,
  events: [{ type: 'put', kv: kv('a', revision), previous: undefined }],
})

/** An etcd of which each part of a story is told beforehand. */
function scripted(story: {
  readonly wholes: readonly { readonly revision: number; readonly keys: readonly string[] }[]
  readonly watches: readonly { readonly batches: readonly EtcdBatch[]; readonly end: Error }[]
}) {
  let wholes = 0
  let watches = 0
  const asked: RangeRequest[] = []
  const watchedFrom: number[] = []
  return {
    asked,
    watchedFrom,
    async range(request: RangeRequest): Promise<RangeResponse> {
      asked.push(request)
      if (request.revision === undefined) wholes++
      const whole = story.wholes[wholes - 1]
      if (whole === undefined) throw new EtcdUnreachable('nowhere', false)
      const all = whole.keys.map((key) => kv(key, 1))
      const rest = all.filter(({ key }) => Buffer.compare(key, request.key) >= 0)
      const kvs = rest.slice(0, request.limit)
      const { revision } = whole
      return { revision, kvs, more: rest.length > kvs.length, count: rest.length }
    },
    async *watch({ startRevision }: { startRevision: number }): AsyncGenerator<EtcdBatch> {
      watchedFrom.push(startRevision)
      const watch = story.watches[watches++]
      yield* watch?.batches ?? []
      throw watch?.end ?? new EtcdUnreachable('nowhere', false)
    },
  }
}

const range = { key: utf8('a'), rangeEnd: utf8('z') }

describe('EM1: who follows a range', () => {
  test('is told all of it, page by page of one revision, and then what changed', async () => {
    const keys = Array.from({ length: 120 }, (_, at) => `k${String(at).padStart(3, '0')}`)
    const client = scripted({
      wholes: [{ revision: 10, keys }],
      watches: [{ batches: [batch(11), batch(15)], end: new EtcdUnreachable('nowhere', false) }],
    })
    const ending = new AbortController()
    const told: unknown[] = []
    await followRange({
      client,
      range,
      signal: ending.signal,
      onWhole: (revision, kvs) => {
        told.push([revision, kvs.length])
        return true
      },
      onBatch: ({ revision }) => {
        told.push(revision)
        if (revision === 15) ending.abort()
      },
      onProblem: () => undefined,
    })

    expect(told).toEqual([[10, 120], 11, 15])
    expect(client.asked.map(({ revision }) => revision)).toEqual([undefined, 10, 10])
    expect(client.watchedFrom).toEqual([11])
  })

  test('begins anew when what comes next was compacted, which is no problem', async () => {
    const client = scripted({
      wholes: [
        { revision: 10, keys: ['a'] },
        { revision: 50, keys: ['b', 'c'] },
      ],
      watches: [
        { batches: [batch(11)], end: new EtcdCompacted(40) },
        { batches: [batch(51)], end: new EtcdUnreachable('nowhere', false) },
      ],
    })
    const ending = new AbortController()
    const told: unknown[] = []
    const problems: unknown[] = []
    await followRange({
      client,
      range,
      signal: ending.signal,
      onWhole: (revision, kvs) => {
        told.push([revision, kvs.length])
        return true
      },
      onBatch: ({ revision }) => {
        told.push(revision)
        if (revision === 51) ending.abort()
      },
      onProblem: (error) => problems.push(error),
    })

    expect(told).toEqual([[10, 1], 11, [50, 2], 51])
    expect(client.watchedFrom).toEqual([11, 51])
    expect(problems).toEqual([])
  })

  test('ends by what its listener throws, and by nothing that etcd does', async () => {
    const client = scripted({
      wholes: [{ revision: 10, keys: [] }],
      watches: [{ batches: [], end: new EtcdUnreachable('nowhere', false) }],
    })
    const problems: unknown[] = []
    let wholes = 0
    const following = followRange({
      client,
      range,
      signal: new AbortController().signal,
      onWhole: () => {
        wholes++
        return true
      },
      onBatch: () => undefined,
      onProblem: (error) => {
        problems.push(error)
        if (problems.length === 3) throw new Error('not to be trusted any more')
      },
    })

    await expect(following).rejects.toThrow('not to be trusted')
    expect(wholes).toBe(1)
  })
})
