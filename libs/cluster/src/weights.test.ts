import { describe, expect, test } from 'vitest'
import { command, DrivenCluster, openOffers, scalar } from './testing/driven-cluster.ts'

const update = (cluster: DrivenCluster, ...weights: readonly [string, number][]) =>
  cluster.operator({
    type: 'UPDATE_WEIGHTS',
    update_weights: { weight_infos: weights.map(([role, weight]) => ({ role, weight })) },
  })

const twoCpus = [scalar('cpus', 2), scalar('mem', 512)]
const oneCpu = [scalar('cpus', 1), scalar('mem', 512)]

describe('CL14: weights of roles', () => {
  test('decide who is offered more, at once and under the next leader, too', () => {
    const cluster = new DrivenCluster()
    cluster.agent('m-1', twoCpus)
    const heavy = cluster.framework('heavy', { role: 'heavy' })
    cluster.launch(heavy, command('t', { resources: twoCpus }))
    const light = cluster.framework('light', { role: 'light' })
    cluster.agent('m-2', oneCpu)
    cluster.launch(light, command('u', { resources: oneCpu }))
    cluster.agent('m-3', [scalar('cpus', 4), scalar('mem', 4096)])
    expect([openOffers(heavy).length, openOffers(light).length]).toEqual([0, 1])

    expect(update(cluster, ['heavy', 10])).toEqual({ status: 200, body: '' })

    const onThird = (one: typeof heavy) =>
      openOffers(one).some(({ agent_id: { value } }) => value === 'M-S2')
    expect([onThird(heavy), onThird(light)]).toEqual([true, false])
    expect(light.events.some(({ type }) => type === 'RESCIND')).toBe(true)
    for (const restarts of [false, true]) {
      if (restarts) cluster.restart()
      expect(cluster.read('GET_WEIGHTS')).toEqual({ weight_infos: [{ role: 'heavy', weight: 10 }] })
    }
    update(cluster, ['empty', 3])
    expect(cluster.read('GET_ROLES')).toMatchObject({
      roles: expect.arrayContaining([
        expect.objectContaining({ name: 'heavy', weight: 10 }),
        expect.objectContaining({ name: 'empty', weight: 3 }),
      ]),
    })
  })

  test.each([
    ['a', 0, "for role 'a': Invalid weight '0': Weights must be positive"],
    ['a', -1, "for role 'a': Invalid weight '-1': Weights must be positive"],
    ['/a', 1, ": Invalid role '/a': Role '/a' cannot start with a slash"],
    ['', 1, ": Invalid role '': Role names cannot be the empty string"],
  ])('of %j: %j is refused, and changes nothing', (role, weight, why) => {
    const cluster = new DrivenCluster()
    const answer = update(cluster, ['sound', 2], [role, weight])

    expect(answer).toMatchObject({ status: 400, body: expect.stringContaining(why) })
    expect(cluster.read('GET_WEIGHTS')).toEqual({ weight_infos: [] })
  })

  test('are of so many roles at most', () => {
    const cluster = new DrivenCluster()
    const many = Array.from({ length: 1001 }, (_, index): [string, number] => [`r${index}`, 1])
    expect(update(cluster, ...many)).toMatchObject({ status: 400 })
    expect(update(cluster, ...many.slice(1))).toMatchObject({ status: 200 })
  })
})
