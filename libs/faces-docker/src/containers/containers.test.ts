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
  const container = {
    Command: ['sh', '-c', 'tail -f /dev/null'],
    Env: ['COLOR=green'],
    Healthcheck: { Test: ['NONE'] },
    Mounts: [
      { Type: 'volume', Source: 'data', Target: '/data' },
      { Type: 'tmpfs', Target: '/cache' },
    ],
  }
  const ports = [{ TargetPort: 8080, PublishedPort: 80, PublishMode: 'host' }]
  const spec = sentSpec('my_app', { EndpointSpec: { Ports: ports } }, container) as {
    readonly TaskTemplate: object
  }
  const Resources = { Limits: { MemoryBytes: 8 * 1024 * 1024 } }
  await services.create({ ...spec, TaskTemplate: { ...spec.TaskTemplate, Resources } })
  await front.master.scene.settle()
  const [task] = await front.master.workloads.tasks(admin, 'my_app')
  if (task === undefined) throw new Error('no task runs')
  id = containerIdOf(task)
  taskId = task.taskId
  front.master.tasks.add(taskId)
})

const admin = { principal: { uid: 'admin' }, requestId: 'test' }

const aUsage = {
  cpuMs: 1,
  memoryBytes: 1,
  memoryBytesMax: 1,
  processes: 1,
  processesMax: 1,
  readBytes: 1,
  writtenBytes: 1,
  atMs: 1,
  processors: 1,
}

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
      // Nothing of the machine's leads to it, and no volume is in it.
      Ports: [{ PrivatePort: 8080, Type: 'tcp' }],
      Mounts: [{ Type: 'tmpfs', Destination: '/cache' }],
      NetworkSettings: { Networks: { bridge: { IPAddress: '' } } },
    })
    expect(shown).not.toHaveProperty('SizeRw')
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
    [{ label: ['com.docker.swarm.task='] }, 1],
    [{ label: ['com.docker.swarm.service.name='] }, 0],
    [{ ancestor: ['eon01/infinite'] }, 1],
    [{ ancestor: ['docker.io/eon01/infinite:latest'] }, 1],
    [{ ancestor: ['redis'] }, 0],
    [{ ancestor: ['nosuch', 'eon01/infinite'] }, 1],
    [{ 'is-task': ['true'] }, 1],
    [{ 'is-task': ['false'] }, 0],
    [{ health: ['none'] }, 1],
    [{ exited: ['0'] }, 0],
    [{ isolation: ['hyperv'] }, 1],
    [{ network: ['bridge'] }, 1],
    [{ network: ['ingress'] }, 0],
    [{ volume: ['/cache'] }, 1],
    [{ volume: ['data'] }, 0],
    [{ expose: ['80'] }, 0],
    [{ expose: ['8000-8100/tcp'] }, 1],
    [{ expose: ['8080/udp'] }, 0],
    [{ publish: ['8080'] }, 0],
    [{ publish: ['8080'], expose: ['8080'] }, 1],
  ])('are listed by %j', async (filters, count) => {
    const query = encodeURIComponent(JSON.stringify(filters))
    const answer = await get(`/containers/json?filters=${query}`)
    expect(answer.json()).toHaveLength(count)
  })

  test.each([
    ['{"status":["dreaming"]}', "invalid filter 'status=dreaming'"],
    ['{"health":["ill"]}', 'unrecognized filter value for health: ill'],
    [
      '{"exited":["x"],"status":["y"]}',
      'invalid filter \'exited=x\': strconv.Atoi: parsing "x": invalid syntax',
    ],
    ['{"nosuch":["x"],"status":["y"]}', "invalid filter 'nosuch'"],
    ['x', 'invalid filter'],
    ['{"publish":["80:80"]}', "filter for 'publish' should not contain ':': 80:80"],
    [
      '{"expose":["x/tcp"]}',
      'error while looking up for expose x/tcp: strconv.ParseUint: parsing "x": invalid syntax',
    ],
    [
      '{"expose":["99999"]}',
      'error while looking up for expose 99999: strconv.ParseUint: parsing "99999": value out of range',
    ],
    [
      '{"expose":["9-1"]}',
      'error while looking up for expose 9-1: invalid range specified for port: 9-1',
    ],
    [
      '{"expose":["/tcp"]}',
      'error while looking up for expose /tcp: empty string specified for ports',
    ],
    ['{"is-task":["perhaps"]}', "invalid filter 'is-task=[perhaps]'"],
  ])('are not listed by %s, which nobody knows', async (filters, message) => {
    const answer = await get(`/containers/json?filters=${filters}`)
    expect([answer.statusCode, answer.json()]).toEqual([400, { message }])
  })

  test('are older or younger than another, which is named whole', async () => {
    await services.create(sentSpec('younger'))
    await front.master.scene.settle()
    const all = (await get('/containers/json')).json<{ Id: string; Names: [string] }[]>()
    expect(all).toHaveLength(2)
    const [first, second] = all
    const idsBy = async (key: string, value: string): Promise<readonly string[]> => {
      const filters = encodeURIComponent(JSON.stringify({ [key]: [value] }))
      const answer = await get(`/containers/json?filters=${filters}`)
      return answer.statusCode === 200
        ? answer.json<{ Id: string }[]>().map(({ Id }) => Id)
        : [answer.json<{ message: string }>().message]
    }
    expect(await idsBy('before', first?.Id ?? '')).toEqual([second?.Id])
    expect(await idsBy('before', first?.Names[0] ?? '')).toEqual([second?.Id])
    expect(await idsBy('since', second?.Id ?? '')).toEqual([first?.Id])
    expect(await idsBy('since', first?.Id ?? '')).toEqual([])
    expect(await idsBy('since', id.slice(0, 12))).toEqual([`No such container: ${id.slice(0, 12)}`])
    // Of two that begin so it is neither.
    expect(await idsBy('id', '')).toEqual([])
    expect(await idsBy('id', id.slice(0, 12))).toEqual([id])
  })

  test('are as many as are wanted, and how many is a number', async () => {
    await services.create(sentSpec('younger'))
    await front.master.scene.settle()
    expect((await get('/containers/json?limit=1')).json()).toHaveLength(1)
    expect((await get('/containers/json?limit=-1')).json()).toHaveLength(2)
    const refused = await get('/containers/json?limit=x')
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      { message: 'strconv.Atoi: parsing "x": invalid syntax' },
    ])
  })

  test('have a size, where somebody asks for it: what they wrote, and that with their image', async () => {
    const usage = { ...aUsage, memoryBytes: 9000, layerBytes: 5000 }
    front.master.tasks.usages = [usage]
    const [image] = (await get('/images/json'))
      .json<{ RepoTags: string[]; Size: number }[]>()
      .filter(({ RepoTags }) => RepoTags.includes('eon01/infinite:latest'))
    const sizes = { SizeRw: 5000, SizeRootFs: 5000 + (image?.Size ?? 0) }
    expect((await get('/containers/json?size=1')).json()).toMatchObject([sizes])
    expect((await get(`/containers/${id}/json?size=1`)).json()).toMatchObject(sizes)
    // An agent from before it was counted, and a task that has just ended.
    front.master.tasks.usages = [aUsage]
    expect((await get('/containers/json?size=1')).json()).toMatchObject([{ SizeRw: 0 }])
    front.master.tasks.usages = []
    expect((await get('/containers/json?size=1')).json()).toMatchObject([{ SizeRw: 0 }])
  })

  test("are waited for by what there is to wait for, and are nobody else's link", async () => {
    const unknown = await front.ask('POST', `/containers/nosuch/wait?condition=foo`)
    expect([unknown.statusCode, unknown.json()]).toEqual([
      400,
      { message: 'invalid condition: "foo"' },
    ])
    const link = await front.ask('DELETE', `/containers/${id}?link=1`)
    expect(link.json()).toEqual({
      message: 'Conflict, cannot remove the default link name of the container',
    })
  })

  test('that have exited are removed with the record of them: a client waits for that', async () => {
    front.master.scene.end(taskId, 'TASK_FAILED', 'Command exited with status 3')
    await front.master.scene.settle()
    const tasks = await front.master.workloads.tasks(admin, 'my_app')
    const ended = tasks.find((task) => task.taskId === taskId)
    if (ended === undefined) throw new Error('nobody remembers it')
    front.master.scene.putTask(ended.workloadId, { ...ended, exitCode: 3 })
    expect((await front.ask('POST', `/containers/${id}/wait`)).json()).toEqual({ StatusCode: 3 })
    const restarted = await front.ask('POST', `/containers/${id}/restart`)
    expect([restarted.statusCode, restarted.json<{ message: string }>().message]).toEqual([
      409,
      expect.stringContaining('is never started again: docker service update --force my_app'),
    ])
    const removed = front.ask('POST', `/containers/${id}/wait?condition=removed`)
    await front.ask('DELETE', '/services/my_app')
    await front.master.scene.settle()
    expect((await removed).json()).toEqual({ StatusCode: 3 })
  })

  test('say what their service says of them, as far as the Engine has a word for it', async () => {
    const shown = (await get(`/containers/${id}/json`)).json()
    expect(shown).toMatchObject({
      HostConfig: { Memory: 8 * 1024 * 1024, NanoCpus: 0 },
      Config: { ExposedPorts: { '8080/tcp': {} }, Healthcheck: { Test: ['NONE'] } },
      NetworkSettings: { Ports: { '8080/tcp': null } },
      GraphDriver: { Name: 'conclave' },
    })
  })

  test('show their processes without the one that looks, by any columns', async () => {
    const top = async (args: string, said: string): Promise<unknown> => {
      const asked = get(`/containers/${id}/top?ps_args=${encodeURIComponent(args)}`)
      const { sessions } = front.master.tasks
      const count = sessions.length
      await until(() => sessions.length > count)
      sessions.at(-1)?.print(said)
      sessions.at(-1)?.end(0)
      return (await asked).json()
    }
    expect(await top('-eo pid,comm', '12\n PID COMMAND\n   1 sh\n  12 ps\n')).toEqual({
      Titles: ['PID', 'COMMAND'],
      Processes: [['1', 'sh']],
    })
    expect(front.master.tasks.execsWanted.at(-1)?.argv.slice(-2)).toEqual(['-eo', 'pid,comm'])
    expect(await top('-o cmd', '12\nCMD\nsh\n')).toEqual({
      message: "Couldn't find PID field in ps output",
    })
    const renamed = await get(`/containers/${id}/top?ps_args=-o%20ppid%3DPID`)
    expect([renamed.statusCode, renamed.json()]).toEqual([
      400,
      { message: 'specifying "ppid=PID" is not allowed' },
    ])
  })

  test('make no image; one that is not there makes none either', async () => {
    const none = await front.ask('POST', '/commit?container=nosuch')
    expect([none.statusCode, none.json()]).toEqual([404, { message: 'No such container: nosuch' }])
    const refused = await front.ask('POST', `/commit?container=${id}`)
    expect([refused.statusCode, refused.json<{ message: string }>().message]).toEqual([
      501,
      expect.stringContaining('no image is made of them here') as string,
    ])
  })

  test('are told when a program that nobody waits for cannot be started', async () => {
    const { tasks } = front.master
    const start = async (): Promise<readonly [number, string]> => {
      const created = await front.ask('POST', `/containers/${id}/exec`, { Cmd: ['nosuch'] })
      const { Id } = created.json<{ Id: string }>()
      const answer = await front.ask('POST', `/exec/${Id}/start`, { Detach: true })
      return [answer.statusCode, answer.body]
    }
    // As an agent does it: what it is asked first it answers first.
    tasks.usage = async () => {
      tasks.sessions.at(-1)?.end(127, 'exec: "nosuch": executable file not found in $PATH')
      await new Promise((resolve) => setImmediate(resolve))
      return aUsage
    }
    const [status, body] = await start()
    expect([status, JSON.parse(body)]).toEqual([
      400,
      {
        message:
          'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown',
      },
    ])
    tasks.usage = async () => aUsage
    expect(await start()).toEqual([200, ''])
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
    expect(refused.json()).toEqual({
      message: `cannot kill container: ${id}: invalid signal: NO-SIGNAL`,
    })
    for (const [signal, why] of [
      ['NOPE', 'invalid signal: NOPE'],
      ['RTMIN+16', 'invalid signal: RTMIN+16'],
      ['0', 'invalid signal: 0'],
      ['65', 'the linux daemon does not support signal 65'],
      ['-1', 'the linux daemon does not support signal -1'],
    ] as const) {
      const query = encodeURIComponent(signal)
      const unknown = await front.ask('POST', `/containers/nosuch/kill?signal=${query}`)
      expect(unknown.json()).toEqual({ message: `cannot kill container: nosuch: ${why}` })
    }
    const created = await front.ask('POST', '/containers/create', { Image: 'busybox' })
    expect(created.statusCode).toBe(501)
    expect(created.json<{ message: string }>().message).toContain('docker service create')
    for (const [method, action] of [
      ['POST', 'pause'],
      ['POST', 'rename'],
      ['GET', 'export'],
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

  /** As old clients ask: once the head has come, the connection is theirs. */
  async function unupgraded(execId: string): Promise<EngineClient> {
    const body = '{"Detach":false}'
    const client = new EngineClient(place).send(
      `POST /v1.47/exec/${execId}/start HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n` +
        `Content-Type: application/json\r\n\r\n${body}`,
    )
    await client.until('\r\n\r\n')
    return client
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

  test('takes input and its end over a connection that was never upgraded', async () => {
    const client = await unupgraded(await exec({ AttachStdin: true }))
    const running = await openedSession()
    client.send('first ')
    await until(() => running.input.length > 0)
    client.send('GET / HTTP/1.1\r\n\r\n').halfClose()
    await until(() => running.input.includes('<end>'))
    running.print('out\n')
    running.end(0)

    const { head, body } = await client.rest()
    expect(running.input.join('')).toBe('first GET / HTTP/1.1\r\n\r\n<end>')
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    // What dockerd calls it, though there are frames in it.
    expect(head).toContain(`Content-Type: ${raw}`)
    const [frame] = new StdcopyReader().push(body)
    expect(frame?.payload.toString()).toBe('out\n')
  })

  test('is left by the end of what a terminal is sent, and goes on', async () => {
    const execId = await exec({ AttachStdin: true, Tty: true })
    const client = await unupgraded(execId)
    const running = await openedSession()
    client.send('typed').halfClose()
    await until(() => running.input.length > 0)
    running.print('still heard')
    const { body } = await client.rest()

    expect(body.toString()).toBe('still heard')
    expect(running.input).toEqual(['typed'])
    expect(running.isClosed).toBe(false)
    expect((await app.inject(`/exec/${execId}/json`)).json()).toMatchObject({ Running: true })
  })

  test('has nobody type at its terminal where no input is attached: it waits', async () => {
    const client = await unupgraded(await exec({ Tty: true }))
    const running = await openedSession()
    client.send('typed').halfClose()
    running.print('$ ')
    await client.until('$ ')
    running.end(0)
    await client.rest()
    expect(running.input).toEqual([])
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
