import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { canary, eventually, findCanary, missingServer, RedisServer } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { Candidate } from './candidate.ts'
import { CandidateOptionsInvalid, type CandidateOptions } from './candidate-options.ts'

const why = missingServer('redis-server')
const members = ['ann', 'bob', 'cid']
const key = new Uint8Array(32).fill(9)

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 5)
  })

/** A candidate, and all that it said. */
interface Watched {
  readonly candidate: Candidate
  readonly said: string[]
}

const heard = ({ said }: Watched, line: string): boolean => said.includes(line)

describe.skipIf(why !== undefined)(`candidates over a real Redis ${why ?? ''}`, () => {
  let redis: RedisServer
  let home: string
  let running: Watched[] = []

  beforeEach(async () => {
    redis = await RedisServer.start()
    home = mkdtempSync(join(tmpdir(), 'conclave-candidates-'))
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map(({ candidate }) => candidate.destroy()))
    await redis.stop()
    rmSync(home, { recursive: true, force: true })
  })

  const optionsFor = (id: string, more: Partial<CandidateOptions> = {}): CandidateOptions => ({
    redis: { url: redis.unixUrl },
    kind: 'my:service',
    id,
    members,
    directory: join(home, id),
    key,
    tickMs: 20,
    ...more,
  })

  async function start(id: string, more: Partial<CandidateOptions> = {}): Promise<Watched> {
    const candidate = new Candidate(optionsFor(id, more))
    const said: string[] = []
    candidate.on('elected', () => said.push(`elected in ${candidate.currentTerm}`))
    candidate.on('defeated', (leaderId) => said.push(`defeated by ${leaderId ?? 'nobody'}`))
    candidate.on('statechange', (state) => said.push(state))
    candidate.on('message', ({ message, from }) => said.push(`${from}: ${JSON.stringify(message)}`))
    candidate.on('message:from:leader', ({ from }) => said.push(`leader ${from}`))
    candidate.on('message:from:follower', ({ from }) => said.push(`follower ${from}`))
    candidate.on('error', (error) => said.push(`error ${error.constructor.name}`))
    const watched = { candidate, said }
    running.push(watched)
    await candidate.start()
    return watched
  }

  const startAll = (): Promise<Watched[]> => Promise.all(members.map((id) => start(id)))

  const leaders = (): Watched[] => running.filter(({ candidate }) => candidate.state === 'leader')

  /** Resolves once one leads, and all others know it. */
  async function led(): Promise<Watched> {
    for (;;) {
      const [leader] = leaders()
      const seen = await Promise.all(running.map(({ candidate }) => candidate.getLeader()))
      if (leader !== undefined && seen.every((one) => one?.id === leader.candidate.id)) {
        return leader
      }
      await turn()
    }
  }

  const others = (than: Watched): readonly Watched[] => running.filter((one) => one !== than)

  test('CA1: one of them is elected, in a term of its own, and the others follow', async () => {
    await startAll()

    const leader = await led()

    const { currentTerm, id } = leader.candidate
    expect(leader.said).toContain(`elected in ${currentTerm}`)
    for (const { candidate, said } of others(leader)) {
      expect(candidate.state).toBe('follower')
      expect(said.join()).not.toContain('elected')
      expect((await candidate.getLeader())?.id).toBe(id)
    }
  })

  test('CA1: one alone is never elected, whatever it sees', async () => {
    const alone = await start('ann')
    await eventually(() => alone.candidate.state === 'candidate')
    await redis.ask('FLUSHALL')
    const { currentTerm } = alone.candidate
    expect(alone.said.join()).not.toContain('elected')

    await start('bob')

    expect((await led()).candidate.currentTerm).toBeGreaterThan(currentTerm)
  })

  test('CA2: the term never falls, not even when all are started again: it fences', async () => {
    await startAll()
    const first = (await led()).candidate.currentTerm
    await Promise.all(running.splice(0).map(({ candidate }) => candidate.destroy()))
    await redis.restart()

    await startAll()

    expect((await led()).candidate.currentTerm).toBeGreaterThan(first)
  })

  test('CA3: a leader that reaches no majority is defeated by itself, and nobody leads meanwhile', async () => {
    await startAll()
    const leader = await led()
    const before = leader.candidate.currentTerm

    await redis.kill()
    await eventually(() => leader.said.includes('defeated by nobody'))
    expect(leaders()).toEqual([])
    expect(leader.said).toContain('error RedisUnreachable')

    await redis.restart()
    expect((await led()).candidate.currentTerm).toBeGreaterThan(before)
  })

  test('CA3: a leader whose process is gone is replaced, in a later term', async () => {
    await startAll()
    const old = await led()
    const { currentTerm } = old.candidate
    await old.candidate.destroy()
    running = [...others(old)]

    const leader = await led()

    expect(leader.candidate.currentTerm).toBeGreaterThan(currentTerm)
  })

  test('CA4: stepdown and stop hand leadership on', async () => {
    await startAll()
    const first = await led()

    await first.candidate.stepdown()
    const second = await led()
    expect(second).not.toBe(first)
    // At once, and so before anybody knows by whom.
    expect(first.said.some((line) => line.startsWith('defeated by'))).toBe(true)

    const { currentTerm } = second.candidate
    await second.candidate.stop()
    running = [...others(second)]
    const third = await led()
    expect(third.candidate.currentTerm).toBeGreaterThan(currentTerm)
    expect(second.candidate.state).toBe('follower')
  })

  test('CA5: messages reach whom they are for, each with its proven sender', async () => {
    await startAll()
    const leader = await led()
    const [one, two] = others(leader)
    if (one === undefined || two === undefined) throw new Error('there are three')
    const [l, a, b] = [leader.candidate.id, one.candidate.id, two.candidate.id]

    await leader.candidate.messageFollowers('work')
    await one.candidate.messageLeader({ done: 1 })
    await one.candidate.messageTo(b, ['you'])
    await two.candidate.messageAll('all')

    await eventually(
      () =>
        heard(one, `${l}: "work"`) &&
        heard(two, `${l}: "work"`) &&
        heard(leader, `${a}: {"done":1}`) &&
        heard(two, `${a}: ["you"]`) &&
        running.every((watched) => heard(watched, `${b}: "all"`)),
    )
    expect(one.said).toContain(`leader ${l}`)
    expect(leader.said).toContain(`follower ${a}`)
    expect(leader.said).not.toContain(`${l}: "work"`)
    expect(one.said).not.toContain(`${a}: ["you"]`)
  })

  test('CA6: instances are those that are there, with what they say of themselves', async () => {
    await startAll()
    const leader = await led()
    await leader.candidate.setMeta({ port: 8080 })
    const [one, two] = others(leader)
    if (one === undefined || two === undefined) throw new Error('there are three')

    let seen: readonly { readonly id: string; readonly meta: unknown; readonly state: string }[] =
      []
    while (seen.length < 3 || seen.every(({ meta }) => meta === null || meta === undefined)) {
      await turn()
      seen = await one.candidate.getInstances()
    }
    expect(seen.map(({ id }) => id)).toEqual(members)
    expect(seen.find(({ state }) => state === 'leader')).toEqual({
      id: leader.candidate.id,
      meta: { port: 8080 },
      state: 'leader',
    })
    expect((await one.candidate.getLeader())?.meta).toEqual({ port: 8080 })

    await two.candidate.destroy()
    running = running.filter((watched) => watched !== two)
    while (seen.length > 2) {
      await turn()
      seen = await one.candidate.getInstances()
    }
    expect(seen.map(({ id }) => id)).not.toContain(two.candidate.id)
  })

  test('CA7: who has another key is not one of them, and nobody reads what they say', async () => {
    const watch = await redis.watch()
    const value = canary('message')
    const stranger = await start('cid', { key: new Uint8Array(32).fill(8) })
    const [ann, bob] = [await start('ann'), await start('bob')]
    running = [ann, bob]
    await led()

    await ann.candidate.messageTo('bob', value.text)
    await eventually(() => bob.said.some((line) => line.includes(value.text)))

    expect(findCanary(watch.said(), value)).toEqual([])
    expect(stranger.candidate.state).not.toBe('leader')
    expect(stranger.said.join()).not.toContain('elected')
    running.push(stranger)
    watch.end()
  })

  test('CA8: an instance is held to its group: it cannot come back into another one', async () => {
    const first = await start('ann')
    await first.candidate.destroy()

    const again = new Candidate(optionsFor('ann', { members: [...members, 'dot', 'eve'] }))

    await expect(again.start()).rejects.toThrow(CandidateOptionsInvalid)
  })
})

describe('CA9: options that would not be safe are refused, with the mend', () => {
  const good: CandidateOptions = {
    redis: {},
    id: 'ann',
    members,
    directory: 'somewhere',
    key,
  }

  test.each([
    ['id', { id: 'dot' }],
    ['members', { members: [] }],
    ['members', { members: ['ann', 'ann'] }],
    ['members', { members: ['ann', 'a b'] }],
    ['directory', { directory: '' }],
    ['key', { key: new Uint8Array(16) }],
    ['kind', { kind: '' }],
    ['tickMs', { tickMs: 0 }],
  ])('%s', (option, more) => {
    expect(() => new Candidate({ ...good, ...more })).toThrow(CandidateOptionsInvalid)
    expect(() => new Candidate({ ...good, ...more })).toThrow(option)
  })

  test('and before start nothing can be said', async () => {
    await expect(new Candidate(good).messageAll('hello')).rejects.toThrow('call start()')
    expect(new Candidate(good)).toMatchObject({ id: 'ann', state: 'follower', currentTerm: 0 })
  })
})
