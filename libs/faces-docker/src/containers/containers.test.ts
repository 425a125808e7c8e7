import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canary } from '@conclave/testkit'
import { utf8Text } from '@conclave/kernel'
import { authorityOf, identityOf } from '@conclave/runtime/testing'
import { fastify, type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { containerIdOf } from '../container-id.ts'
import { dockerFace, dockerServerOptions } from '../face.ts'
import { EngineClient, type Place } from '../testing/engine-client.ts'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'
import { StdcopyReader } from './stdcopy.ts'

let front: Front
let services: Services
let id: string
let taskId: string

/** A service with one task that runs, on the agent that the fake cluster has. */
beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  services = new Services(front)
  const container = { Command: ['sh', '-c', 'tail -f /dev/null'], Env: ['COLOR=green'] }
  await services.create(sentSpec('my_app', {}, container))
  await front.master.scene.settle()
  const [task] = await front.master.workloads.tasks(
    { principal: { uid: 'admin' }, requestId: 'test' },
    'my_app',
  )
  if (task === undefined) throw new Error('no task runs')
  id = containerIdOf(task)
  taskId = task.taskId
  front.master.tasks.add(taskId)
})

const get = (path: string) => front.ask('GET', path)

describe('DK40: containers', () => {
  test('are listed, and found by id, name, slash and name, and how an id begins', async () => {
    const [shown] = (await get('/v1.47/containers/json')).json<{ Names: string[] }[]>()
    expect(shown).toMatchObject({
      Id: id,
      Names: [expect.stringMatching(/^\/my_app\.1\.[0-9a-z]{25}$/) as string],
      Image: 'eon01/infinite:latest',
      Command: "sh -c 'tail -f /dev/null'",
      State: 'running',
      Status: expect.stringMatching(/^Up /) as string,
      Labels: { 'com.docker.swarm.service.name': 'my_app', 'com.docker.swarm.task': '' },
      Mounts: [],
    })
    const name = shown?.Names[0]?.slice(1) ?? ''
    for (const asked of [id, name, `%2F${name}`, id.slice(0, 12)]) {
      const found = await get(`/containers/${asked}/json`)
      expect(found.json()).toMatchObject({ Id: id, Config: { Tty: false } })
    }
    const none = await get('/containers/nosuch/json')
    expect([none.statusCode, none.json()]).toEqual([404, { message: 'No such container: nosuch' }])
  })

  test.each([
    [{ name: ['my_'] }, 1],
    [{ name: ['^/my_app.1.'] }, 1],
    [{ name: ['^my_app$'] }, 0],
    [{ name: ['(a+)+$'] }, 0],
    [{ status: ['exited'] }, 0],
    [{ label: ['com.docker.swarm.service.name=my_app'] }, 1],
    [{ label: ['nosuch'] }, 0],
    [{ ancestor: ['eon01/infinite'] }, 1],
    [{ ancestor: ['redis'] }, 0],
    [{ 'is-task': ['true'] }, 1],
  ])('are listed by %j', async (filters, count) => {
    const query = encodeURIComponent(JSON.stringify(filters))
    const answer = await get(`/containers/json?filters=${query}`)
    expect(answer.json()).toHaveLength(count)
  })

  test.each([
    ['{"status":["dreaming"]}', "invalid filter 'status=dreaming'"],
    ['{"health":["ill"]}', 'unrecognized filter value for health: ill'],
    ['{"exited":["x"]}', 'strconv.Atoi: parsing "x": invalid syntax'],
    ['{"is-task":["perhaps"]}', "invalid filter 'is-task=[perhaps]'"],
  ])('are not listed by %s, which nobody knows', async (filters, message) => {
    const answer = await get(`/containers/json?filters=${filters}`)
    expect([answer.statusCode, answer.json()]).toEqual([400, { message }])
  })

  test('that are not there are not killed, in the words of the Engine', async () => {
    const answer = await front.ask('POST', '/containers/nosuch/kill?signal=TERM')
    expect([answer.statusCode, answer.json()]).toEqual([
      404,
      { message: 'cannot kill container: nosuch: No such container: nosuch' },
    ])
  })

  test('are none before there is a swarm', async () => {
    expect((await new Front().ask('GET', '/containers/json')).json()).toEqual([])
  })

  test('get signals, and refuse what only containers of dockerd can do', async () => {
    const signalled = await front.ask('POST', `/containers/${id}/kill?signal=SIGHUP`)
    expect(signalled.statusCode).toBe(204)
    expect(front.master.tasks.signals).toEqual([`HUP to ${taskId}`])
    const refused = await front.ask('POST', `/containers/${id}/kill?signal=NO-SIGNAL`)
    expect(refused.json()).toEqual({ message: 'Invalid signal: NO-SIGNAL' })
    for (const signal of ['NOPE', '65', 'RTMIN+16', '0']) {
      const unknown = await front.ask(
        'POST',
        `/containers/nosuch/kill?signal=${encodeURIComponent(signal)}`,
      )
      expect(unknown.json()).toEqual({ message: `Invalid signal: ${signal}` })
    }
    const created = await front.ask('POST', '/containers/create', { Image: 'busybox' })
    expect(created.statusCode).toBe(501)
    expect(created.json<{ message: string }>().message).toContain('docker service create')
    for (const [method, action] of [
      ['POST', 'pause'],
      ['POST', 'rename'],
      ['GET', 'archive'],
    ] as const) {
      expect((await front.ask(method, `/containers/${id}/${action}`)).statusCode).toBe(501)
    }
    expect((await front.ask('DELETE', `/containers/${id}`)).statusCode).toBe(409)
  })

  test('show their output as lines, of the streams and the time that are asked for', async () => {
    const asked = get(
      `/containers/${id}/logs?stdout=1&stderr=1&tail=5&since=1700000000&timestamps=1`,
    )
    await until(() => front.master.tasks.sessions.length === 1)
    const [session] = front.master.tasks.sessions
    session?.print('one\n', 'stdout', 1_763_785_868_000)
    session?.print('two\n', 'stderr', 1_763_785_868_001)
    session?.end(undefined)
    const frames = new StdcopyReader().push((await asked).rawPayload)

    expect(front.master.tasks.logsWanted).toEqual([
      { follow: false, tail: 5, sinceMs: 1_700_000_000_000 },
    ])
    expect(frames.map(({ stream, payload }) => [stream, payload.toString()])).toEqual([
      ['stdout', '2025-11-22T04:31:08.000000000Z one\n'],
      ['stderr', '2025-11-22T04:31:08.001000000Z two\n'],
    ])
    const none = await get(`/containers/${id}/logs`)
    expect(none.json()).toEqual({ message: 'Bad parameters: you must choose at least one stream' })
  })

  test('show nothing of what an exec was given or has said', async () => {
    const value = canary('exec')
    const created = await front.ask('POST', `/containers/${id}/exec`, {
      Cmd: ['sh', '-c', 'cat'],
      Env: [`TOKEN=${value.text}`],
      AttachStdout: true,
    })
    const exec = created.json<{ Id: string }>().Id
    const shown = [
      (await get(`/exec/${exec}/json`)).body,
      (await get(`/containers/${id}/json`)).body,
      front.log.text,
    ]
    expect(shown.join('\n')).not.toContain(value.text)
  })
})

const raw = 'application/vnd.docker.raw-stream'
const multiplexed = 'application/vnd.docker.multiplexed-stream'

/** The three ways in: a socket, a port, and a port with TLS, where ends of streams are another matter. */
describe.each(['unix', 'tcp', 'tls'] as const)('DK41: a hijacked exec over %s', (kind) => {
  let app: FastifyInstance
  let place: Place
  let directory: string

  beforeEach(async () => {
    const authority = await authorityOf()
    const identity = await identityOf(authority, 'master-1')
    const key = utf8Text(identity.privateKey.reveal())
    const https = { key, cert: identity.certificatePem }
    directory = mkdtempSync(join(tmpdir(), 'docker-face-'))
    app = kind === 'tls' ? fastify({ ...dockerServerOptions, https }) : fastify(dockerServerOptions)
    await app.register(dockerFace(front.engine))
    if (kind === 'unix') {
      const path = join(directory, 'docker.sock')
      place = path
      await app.listen({ path })
      return
    }
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as { port: number }
    place = kind === 'tcp' ? port : { port, rejectUnauthorized: false }
  })
  afterEach(async () => {
    app.server.closeAllConnections()
    await app.close()
    rmSync(directory, { recursive: true, force: true })
  })

  async function exec(config: object): Promise<string> {
    const body = { AttachStdout: true, AttachStderr: true, Cmd: ['cat'], ...config }
    const answer = await app.inject({
      method: 'POST',
      url: `/containers/${id}/exec`,
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify(body),
    })
    expect(answer.statusCode).toBe(201)
    return answer.json<{ Id: string }>().Id
  }

  test('sends frames, and goes on after the client has said its last', async () => {
    const execId = await exec({})
    const client = new EngineClient(place).upgrade(`/v1.47/exec/${execId}/start`, {
      Detach: false,
      Tty: false,
    })
    await client.until('\r\n\r\n')
    client.halfClose()
    const running = await openedSession()
    await until(() => running.input.includes('<end>'))
    running.print('out\n')
    running.print('err\n', 'stderr')
    running.end(7)

    const { head, body } = await client.rest()
    expect(head).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/)
    expect(head).toContain(`Content-Type: ${multiplexed}\r\n`)
    expect(head).toContain('Upgrade: tcp')
    expect(head).toContain('api-version: ')
    const frames = new StdcopyReader().push(body)
    expect(frames.map(({ stream, payload }) => [stream, payload.toString()])).toEqual([
      ['stdout', 'out\n'],
      ['stderr', 'err\n'],
    ])
    expect((await app.inject(`/exec/${execId}/json`)).json()).toMatchObject({
      Running: false,
      ExitCode: 7,
      ContainerID: id,
      ProcessConfig: { tty: false, entrypoint: 'cat', arguments: [] },
    })
  })

  test('takes input that comes with the head, behind it, and in pieces; without a Host', async () => {
    const execId = await exec({ AttachStdin: true })
    const body = '{"Detach":false,"Tty":false}\n'
    const client = new EngineClient(place)
      .send(
        `POST /v1.41/exec/${execId}/start HTTP/1.1\r\nHost: \r\nContent-Length: ${body.length}\r\n` +
          `Connection: Upgrade\r\nContent-Type: application/json\r\nUpgrade: tcp\r\n\r\n${body.slice(0, 9)}`,
      )
      .send(`${body.slice(9)}first `)
    await client.until('101 UPGRADED')
    client.send('second').halfClose()
    const running = await openedSession()
    await until(() => running.input.includes('<end>'))

    expect(running.input.filter((text) => text !== '<end>').join('')).toBe('first second')
    running.end(0)
    const { head } = await client.rest()
    expect(head).toContain(`Content-Type: ${raw}\r\n`)
  })

  test('is one stream of bytes on a terminal, which has a size', async () => {
    const execId = await exec({ Tty: true, AttachStdin: true, ConsoleSize: [30, 100] })
    const client = new EngineClient(place).upgrade(`/exec/${execId}/start`, {
      Detach: false,
      Tty: true,
      ConsoleSize: [30, 100],
    })
    const running = await openedSession()
    const resized = await app.inject({ method: 'POST', url: `/exec/${execId}/resize?h=50&w=132` })
    expect([resized.statusCode, resized.body]).toEqual([200, ''])
    running.print('typed\r\n')
    running.end(0)

    const { head, body } = await client.rest()
    expect(head).toContain(`Content-Type: ${raw}\r\n`)
    expect(body.toString()).toBe('typed\r\n')
    expect(front.master.tasks.execsWanted.at(-1)).toMatchObject({
      terminal: { rows: 30, columns: 100 },
    })
    expect(running.input).toContain('<resize 50x132>')
  })

  test('says why a program cannot be started, on standard output', async () => {
    const execId = await exec({ Cmd: ['nosuchcmd'] })
    const client = new EngineClient(place).upgrade(`/exec/${execId}/start`, {
      Detach: false,
      Tty: false,
    })
    const running = await openedSession()
    running.end(127, 'exec: "nosuchcmd": executable file not found in $PATH')

    const [frame] = new StdcopyReader().push((await client.rest()).body)
    expect(frame?.stream).toBe('stdout')
    expect(frame?.payload.toString()).toBe(
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuchcmd": executable file not found in $PATH: unknown\r\n',
    )
    expect((await app.inject(`/exec/${execId}/json`)).json()).toMatchObject({ ExitCode: 127 })
  })

  test('goes on when its client has vanished, as under dockerd', async () => {
    const execId = await exec({ AttachStdin: true })
    const client = new EngineClient(place).upgrade(`/exec/${execId}/start`, {
      Detach: false,
      Tty: false,
    })
    const running = await openedSession()
    await client.until('101 UPGRADED')
    client.vanish()
    await until(() => running.input.includes('<end>'))
    for (let count = 0; count < 50; count++) running.print('x'.repeat(65_536))
    running.end(3)

    await until(async () => {
      const { ExitCode } = (await app.inject(`/exec/${execId}/json`)).json<{ ExitCode: number }>()
      return ExitCode === 3
    })
    expect(running.isClosed).toBe(false)
  })

  test('is refused in JSON while nothing was hijacked: another id, and a second start', async () => {
    const nobody = new EngineClient(place).upgrade('/exec/0000/start', { Detach: false })
    const { head, body } = await nobody.rest()
    expect(head).toMatch(/^HTTP\/1\.1 404 /)
    expect(JSON.parse(body.toString())).toEqual({ message: 'No such exec instance: 0000' })

    const execId = await exec({})
    const first = new EngineClient(place).upgrade(`/exec/${execId}/start`, { Detach: false })
    await first.until('101 UPGRADED')
    const second = new EngineClient(place).upgrade(`/exec/${execId}/start`, { Detach: false })
    expect((await second.rest()).head).toMatch(/^HTTP\/1\.1 409 /)
    first.vanish()
  })

  test('leaves other upgrades to their routes', async () => {
    const client = new EngineClient(place).upgrade('/nosuch', undefined)
    expect(await client.until('page not found')).toMatch(/^HTTP\/1\.1 404 /)
    client.vanish()
  })
})

async function openedSession() {
  await until(() => front.master.tasks.sessions.length > 0)
  const found = front.master.tasks.sessions.at(-1)
  if (found === undefined) throw new Error('no session was opened')
  return found
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve))
}
