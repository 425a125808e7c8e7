import { LoginThrottled, NotLeader, Unavailable, type AgentView } from '@conclave/actors'
import { Redacted } from '@conclave/kernel'
import { AuditUnavailable } from '@conclave/runtime'
import { canary, expectNoLeak } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

const admin = { principal: { uid: 'admin' }, requestId: '1' }

const refused = (status: number, code: string) => ({
  status,
  json: { error: { code, message: expect.any(String) as string } },
})

async function stored(front: Front, path: string, value: string): Promise<void> {
  await front.master.secrets.create(admin, path, {
    kind: 'text',
    bytes: new Redacted(Buffer.from(value)),
  })
}

describe('who may come in', () => {
  const guarded = [
    '/events',
    '/conclave/v1/masters',
    '/conclave/v1/masters/members',
    '/conclave/v1/agents',
    '/conclave/v1/runs',
    '/conclave/v1/runs/x/watch',
    '/conclave/v1/tasks',
    '/conclave/v1/tasks/x/logs',
    '/conclave/v1/secrets',
  ]

  test.each(guarded)('CF1: %s needs a token that holds', async (url) => {
    const front = new Front()
    const answer = await front.ask('GET', url, { headers: { authorization: 'token=a.b.c' } })

    expect(answer).toMatchObject(refused(401, 'access.unauthenticated'))
    expect(answer.headers['www-authenticate']).toBe('acsjwt')
  })

  test('CF1: two tokens are refused, not chosen from', async () => {
    const { app, master } = new Front()
    const { authorization } = master.identity.headerOf('admin')

    const answer = await app.inject({
      url: '/conclave/v1/masters',
      headers: { authorization: [authorization, authorization] as unknown as string },
    })

    expect(answer.statusCode).toBe(400)
  })

  test('CF1: health and metrics are for everybody', async () => {
    const { app } = new Front()

    expect((await app.inject('/health')).json()).toEqual({
      masterId: 'master-1',
      state: 'running',
      role: 'leader',
      term: 3,
      isReady: true,
      leader: 'master-1',
    })
    const metrics = await app.inject('/metrics')
    expect(metrics.body).toBe('conclave_term 3\n')
    expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  })

  test.each(['/events', '/conclave/v1/pending', '/conclave/v1/tasks/task-1/logs'])(
    'CF7: the head of %s cannot be asked for, since nobody would read the stream',
    async (url) => {
      const front = new Front()
      front.master.tasks.add('task-1')

      expect((await front.ask('HEAD', url)).status).toBe(404)
      expect(front.master.tasks.sessions).toEqual([])
    },
  )

  test('CF1: what is not there says so', async () => {
    expect(await new Front().ask('GET', '/conclave/v2')).toMatchObject(
      refused(404, 'route.not-found'),
    )
    expect(await new Front().ask('GET', '/%zz')).toMatchObject(refused(400, 'request.invalid'))
  })
})

describe('what is shown', () => {
  test('CF2: masters and agents', async () => {
    const front = new Front()
    const agent: AgentView = {
      agentId: 'agent-1',
      hostname: 'a',
      isActive: true,
      runtime: 'memory',
      registeredAtMs: 1,
      tasks: 0,
      resources: { cpus: { total: 4, used: 1 } },
    }
    front.master.agentViews = [agent]

    expect((await front.ask('GET', '/conclave/v1/masters')).json).toMatchObject({
      masterId: 'master-1',
      role: 'leader',
      members: [{ masterId: 'master-1' }],
    })
    expect((await front.ask('GET', '/conclave/v1/agents')).json).toEqual({ agents: [agent] })
  })

  test('CF2: secrets, without their values', async () => {
    const front = new Front()
    const value = canary('stored')
    await stored(front, 'dev/db', value.text)
    await stored(front, 'top', value.text)

    const all = await front.ask('GET', '/conclave/v1/secrets')
    const folder = await front.ask('GET', '/conclave/v1/secrets?folder=%2Fdev%2F')
    const one = await front.ask('GET', '/conclave/v1/metadata?path=dev/db')
    const versions = await front.ask('GET', '/conclave/v1/versions?path=dev%2Fdb')

    expect(all.json).toMatchObject({ secrets: [{ path: 'dev/db' }, { path: 'top' }] })
    expect(folder.json).toMatchObject({ secrets: [{ path: 'dev/db', sizeBytes: 32 }] })
    expect(one.json).toMatchObject({ path: 'dev/db', version: 1 })
    expect(versions.json).toMatchObject({ versions: [{ version: 1, kind: 'text' }] })
    expectNoLeak({ all, folder, one, versions, log: front.log.text }, [value])
  })

  test.each([
    ['/conclave/v1/versions', 400, 'secret.path-invalid'],
    ['/conclave/v1/versions?path=a/../b', 400, 'secret.path-invalid'],
    ['/conclave/v1/versions?path=a%00', 400, 'secret.path-invalid'],
    ['/conclave/v1/metadata?path=none', 404, 'secret.not-found'],
    ['/conclave/v1/versions?path=a&path=b', 400, 'request.invalid'],
    ['/conclave/v1/secrets?folder=a&folder=b', 400, 'request.invalid'],
    ['/conclave/v1/secrets?folder=..', 400, 'secret.path-invalid'],
    ['/conclave/v1/runs/none', 404, 'run.not-found'],
    ['/conclave/v1/tasks/none', 404, 'task.not-found'],
    ['/conclave/v1/tasks/none/logs', 404, 'task.not-found'],
    ['/conclave/v1/runs/none/watch', 404, 'run.not-found'],
  ])('CF3: %s is refused with %i and %s', async (url, status, code) => {
    expect(await new Front().ask('GET', url)).toMatchObject(refused(status, code))
  })

  test('CF3: to whoever may not see it, it is denied', async () => {
    const front = new Front()
    await stored(front, 'dev/db', 'x')

    expect(
      await front.ask('GET', '/conclave/v1/versions?path=dev/db', { as: 'guest' }),
    ).toMatchObject(refused(403, 'access.denied'))
    expect(await front.ask('GET', '/events', { as: 'guest' })).toMatchObject(
      refused(403, 'access.denied'),
    )
  })
})

describe('a run', () => {
  test('CF4: is submitted, shown, listed and killed', async () => {
    const front = new Front()

    const submitted = await front.ask('POST', '/conclave/v1/runs', { body: { name: 'hello' } })
    const shown = await front.ask('GET', '/conclave/v1/runs/run-1')
    const killed = await front.ask('DELETE', '/conclave/v1/runs/run-1')
    const listed = await front.ask('GET', '/conclave/v1/runs')

    expect(submitted).toMatchObject({ status: 201, json: { runId: 'run-1', submittedBy: 'admin' } })
    expect(shown.json).toEqual(submitted.json)
    expect(killed.json).toMatchObject({ state: 'TASK_KILLED', isTerminal: true })
    expect(listed.json).toEqual({ runs: [killed.json] })
  })

  test.each<[unknown, number, string]>([
    [undefined, 400, 'request.invalid'],
    ['{"name":', 400, 'request.invalid'],
    [{}, 422, 'spec.invalid'],
    [[], 422, 'spec.invalid'],
    ['null', 422, 'spec.invalid'],
    [Buffer.alloc(17 * 1024 * 1024, ' '), 413, 'body.too-large'],
  ])('CF4: cannot be made of body %#', async (body, status, code) => {
    const answer = await new Front().ask('POST', '/conclave/v1/runs', { body })

    expect(answer).toMatchObject(refused(status, code))
  })

  test('CF4: with an inline secret leaves nothing of it in a log or a refusal', async () => {
    const front = new Front()
    const inline = canary('inline')
    const spec = { name: 7, command: { value: Buffer.from(inline.text).toString('base64') } }
    const answers = [
      await front.ask('POST', '/conclave/v1/runs', { body: spec }),
      await front.ask('POST', '/conclave/v1/runs', { body: `{"a":"${inline.text}"` }),
      await front.ask('POST', '/conclave/v1/runs', { body: spec, as: inline.text }),
      await front.ask('POST', '/conclave/v1/tasks/x/exec', { body: `{"${inline.text}":1}` }),
    ]
    front.master.failNext(new Error('a bug'))
    answers.push(await front.ask('POST', '/conclave/v1/runs', { body: { ...spec, name: 'x' } }))

    expect(answers.map(({ status }) => status)).toEqual([422, 400, 401, 400, 500])
    expect(front.log.text).toContain('a request failed')
    expectNoLeak({ answers, log: front.log.text }, [inline])
  })

  test.each(['/conclave/v1/runs', '/nowhere'])(
    'CF4: the body of a request to %s is wiped when that is answered',
    async (url) => {
      const front = new Front()
      const bodies: Buffer[] = []
      front.app.addHook('preHandler', async ({ body }) => void bodies.push(body as Buffer))

      await front.ask('POST', url, { body: { name: 'hello' } })

      expect(bodies).toHaveLength(1)
      expect(bodies[0]).toEqual(Buffer.alloc(16))
    },
  )

  test('CF4: a task is shown by the beginning of a long id, and killed', async () => {
    const front = new Front()
    const taskId = `${'a-long-framework-name.'.repeat(12)}0f7c`
    front.master.tasks.add(taskId)

    expect((await front.ask('GET', '/conclave/v1/tasks')).json).toMatchObject({
      tasks: [{ taskId }],
    })
    expect((await front.ask('GET', `/conclave/v1/tasks/${taskId}`)).json).toMatchObject({ taskId })
    expect((await front.ask('GET', '/conclave/v1/tasks/a-long')).json).toMatchObject({ taskId })
    expect((await front.ask('POST', `/conclave/v1/tasks/${taskId}/kill`)).json).toMatchObject({
      state: 'TASK_KILLED',
    })
  })
})

describe('a call that only the leader can answer', () => {
  const leader = { masterId: 'master-2', listeners: { conclave: { host: '10.0.0.2', port: 7070 } } }

  test('CF5: is sent to it, with path and query', async () => {
    const front = new Front()
    front.master.follow(leader)
    front.master.failNext(new NotLeader())

    const answer = await front.ask('POST', '/conclave/v1/runs?a=b', { body: { name: 'x' } })

    expect(answer).toMatchObject(refused(307, 'cluster.not-leader'))
    expect(answer.headers['location']).toBe('http://10.0.0.2:7070/conclave/v1/runs?a=b')
  })

  test('CF5: is sent to an IPv6 address in brackets', async () => {
    const front = new Front()
    front.master.follow({ ...leader, listeners: { conclave: { host: '::1', port: 7070 } } })
    front.master.failNext(new NotLeader())

    const { headers } = await front.ask('GET', '/conclave/v1/agents')

    expect(headers['location']).toBe('http://[::1]:7070/conclave/v1/agents')
  })

  test.each([
    ['nobody leads', (front: Front) => front.master.follow()],
    [
      'the leader has no such listener',
      (front: Front) => front.master.follow({ ...leader, listeners: {} }),
    ],
    ['it still takes itself for the leader', (front: Front) => front.master.lead()],
  ])('CF5: is 503 while %s', async (_name, arrange) => {
    const front = new Front()
    arrange(front)
    front.master.failNext(new NotLeader())

    const answer = await front.ask('GET', '/conclave/v1/agents')

    expect(answer).toMatchObject(refused(503, 'cluster.not-leader'))
    expect(answer.headers['location']).toBeUndefined()
  })

  test('CF5: a stream is sent there, too, before it begins', async () => {
    const front = new Front()
    front.master.follow(leader)
    front.master.failNext(new NotLeader())

    const answer = await front.ask('GET', '/conclave/v1/pending')

    expect(answer.headers['location']).toBe('http://10.0.0.2:7070/conclave/v1/pending')
  })

  test('CF5: what cannot be put on record is 503', async () => {
    const front = new Front()
    front.master.failNext(new AuditUnavailable(new Error('no space left')))

    const answer = await front.ask('GET', '/conclave/v1/agents')

    expect(answer).toMatchObject(refused(503, 'audit.unavailable'))
  })

  test('CF1 threat:AU-08: whoever guesses passwords is told when to come again', async () => {
    const front = new Front()
    front.master.identity.failNext(new LoginThrottled(12))
    const authorization = `Basic ${Buffer.from('admin:guess').toString('base64')}`

    const answer = await front.ask('GET', '/conclave/v1/agents', { headers: { authorization } })

    expect(answer).toMatchObject(refused(429, 'login.throttled'))
    expect(answer.headers['retry-after']).toBe('12')
    expect(front.master.identity.sources).toEqual(['127.0.0.1'])
  })

  test('CF5: without a quorum it is 503, and a failure of ours is 500 without a word of it', async () => {
    const front = new Front()
    front.master.failNext(new Unavailable('no quorum'))
    const unavailable = await front.ask('GET', '/conclave/v1/agents')
    front.master.failNext(new TypeError('something certain'))
    const failed = await front.ask('GET', '/conclave/v1/agents')

    expect(unavailable).toMatchObject(refused(503, 'cluster.unavailable'))
    expect(failed).toMatchObject(refused(500, 'internal'))
    expect(failed.text).not.toContain('certain')
  })
})
