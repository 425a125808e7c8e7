import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  openOffers,
  scalar,
  type Stream,
} from './testing/driven-cluster.ts'

type Framework = Stream & { readonly frameworkId: string }

const idsOf = (framework: Framework): readonly string[] =>
  openOffers(framework).map(({ id }) => id.value)

/** One machine whose offer the first framework holds; the others have none. */
function withHolder(...others: readonly string[]): {
  cluster: DrivenCluster
  holder: Framework
  waiting: readonly Framework[]
} {
  const cluster = new DrivenCluster()
  cluster.agent()
  const holder = cluster.framework('holder')
  const waiting = others.map((name) => cluster.framework(name))
  expect(idsOf(holder)).toEqual(['M-O0'])
  return { cluster, holder, waiting }
}

describe('CL13: an offer that is held', () => {
  test('for ten seconds goes to a framework that has none', () => {
    const { cluster, holder, waiting } = withHolder('waiting')
    const [other] = waiting
    cluster.tick(9)
    expect(idsOf(holder)).toEqual(['M-O0'])
    cluster.tick()

    expect(idsOf(holder)).toEqual([])
    expect(holder.events.map(({ rescind }) => rescind?.offer_id.value)).toContain('M-O0')
    expect(other && idsOf(other)).toEqual(['M-O1'])
    expect(cluster.events).toContainEqual(
      expect.objectContaining({ type: 'offer.rescinded', offerId: 'M-O0' }),
    )
  })

  test('may be held on to while nobody else wants it', () => {
    const { cluster, holder, waiting } = withHolder('silent', 'refusing')
    const [silent, refusing] = waiting
    if (silent === undefined || refusing === undefined) throw new Error('both are there')
    cluster.call(silent, { type: 'SUPPRESS' })
    cluster.call(holder, { type: 'DECLINE', decline: { offer_ids: [{ value: 'M-O0' }] } })
    const filters = { refuse_seconds: 1000 }
    const declined = idsOf(refusing).map((value) => ({ value }))
    cluster.call(refusing, { type: 'DECLINE', decline: { offer_ids: declined, filters } })
    cluster.tick(6)
    const held = idsOf(holder)
    cluster.tick(200)

    expect(held).toHaveLength(1)
    expect(idsOf(holder)).toEqual(held)
  })

  test('goes to the one that has waited longest, so that all have their turn', () => {
    const { cluster, holder, waiting } = withHolder('b', 'c', 'd')
    const all = [holder, ...waiting]
    const turns: string[] = []
    for (let turn = 0; turn < 8; turn++) {
      turns.push(...all.filter((one) => idsOf(one).length > 0).map(({ uid }) => uid))
      cluster.tick(10)
    }

    expect(turns).toEqual(['holder', 'b', 'c', 'd', 'holder', 'b', 'c', 'd'])
  })

  test('is taken from the one that holds most, and only as many as others lack', () => {
    const cluster = new DrivenCluster()
    cluster.agent('small', [scalar('cpus', 1), scalar('mem', 512)])
    const little = cluster.framework('little')
    cluster.call(little, { type: 'SUPPRESS' })
    cluster.agent('big-1')
    cluster.agent('big-2')
    const much = cluster.framework('much')
    expect([idsOf(little), idsOf(much)]).toEqual([['M-O0'], ['M-O1', 'M-O2']])

    const other = cluster.framework('other')
    cluster.tick(10)

    expect(idsOf(little)).toEqual(['M-O0'])
    expect(idsOf(much)).toEqual(['M-O2'])
    expect(idsOf(other)).toHaveLength(1)
  })

  test('by one with a greater share than the holder is not kept from it', () => {
    const cluster = new DrivenCluster()
    cluster.agent('busy')
    const working = cluster.framework('working')
    cluster.launch(
      working,
      command('t', {
        resources: [scalar('cpus', 4), scalar('mem', 4096)],
        command: { value: 'x' },
      }),
    )
    const [first, second] = ['first', 'second'].map((name) => cluster.framework(name))
    if (first === undefined || second === undefined) throw new Error('both are there')
    cluster.agent('free')
    expect([working, first, second].map((one) => idsOf(one).length)).toEqual([0, 1, 0])

    cluster.tick(10)
    expect([working, first, second].map((one) => idsOf(one).length)).toEqual([0, 0, 1])
    cluster.tick(10)
    expect([working, first, second].map((one) => idsOf(one).length)).toEqual([1, 0, 0])
  })
})
