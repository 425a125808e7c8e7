import { MembershipRefused, NotLeader } from '@conclave/actors'
import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

describe('the masters of the group', () => {
  test('are listed with their roles and how far they are', async () => {
    const front = new Front()

    expect(await front.ask('GET', '/conclave/v1/masters/members')).toMatchObject({
      status: 200,
      json: { members: [{ masterId: 'master-1', role: 'leader', isReachable: true, lag: 0 }] },
    })
  })

  test('are promoted, demoted, removed and let go, each as it was asked', async () => {
    const front = new Front()
    const [self] = front.master.members.views
    if (self === undefined) throw new Error('a fake master has itself')
    front.master.members.views = [
      self,
      { ...self, masterId: 'master-2', nodeId: 2, role: 'learner' },
    ]

    const promoted = await front.ask('POST', '/conclave/v1/masters/master-2/promote')
    const demoted = await front.ask('POST', '/conclave/v1/masters/master-2/demote')
    const left = await front.ask('POST', '/conclave/v1/masters/master-2/leave')
    const removed = await front.ask('DELETE', '/conclave/v1/masters/master-2?force=true')

    expect(promoted.json).toMatchObject({ masterId: 'master-2', role: 'voter' })
    expect(demoted.json).toMatchObject({ masterId: 'master-2', role: 'learner' })
    expect([left.status, removed.status]).toEqual([204, 204])
    expect(front.master.members.asked).toEqual([
      'admin promote master-2',
      'admin demote master-2',
      'admin leave master-2',
      'admin remove master-2 by force',
    ])
  })

  test('CF3: are not changed when the refusal has a reason, which is told', async () => {
    const front = new Front()

    const answer = await front.ask('POST', '/conclave/v1/masters/master-7/promote')

    expect(answer).toMatchObject({
      status: 409,
      json: { error: { code: 'member.refused', message: 'node master-7 not found' } },
    })
    front.master.failNext(new MembershipRefused('no'))
    expect((await front.ask('DELETE', '/conclave/v1/masters/master-1')).status).toBe(409)
  })

  test('CF3: are not removed when nobody can tell how', async () => {
    const front = new Front()

    expect(await front.ask('DELETE', '/conclave/v1/masters/master-1?force=yes')).toMatchObject({
      status: 400,
      json: { error: { code: 'request.invalid' } },
    })
    expect(front.master.members.asked).toEqual([])
  })

  test('CF5: are the leader’s to change, and who does not lead says where it is', async () => {
    const front = new Front()
    front.master.follow({
      masterId: 'master-2',
      listeners: { conclave: { host: '10.0.0.2', port: 7070 } },
    })
    front.master.failNext(new NotLeader())

    const answer = await front.ask('POST', '/conclave/v1/masters/master-1/demote')

    expect(answer.status).toBe(307)
    expect(answer.headers.location).toBe('http://10.0.0.2:7070/conclave/v1/masters/master-1/demote')
  })
})
