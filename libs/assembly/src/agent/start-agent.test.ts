import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { box, boxContext } from '@conclave/crypto'
import { Redacted } from '@conclave/kernel'
import { FromAgent, type ToAgent } from '@conclave/model'
import {
  AgentLinkServer,
  createAuthority,
  createLogger,
  issueCertificate,
  SystemRandom,
  type AgentConnection,
  type Authority,
} from '@conclave/runtime'
import { MemoryRuntime } from '@conclave/runtime/memory'
import {
  canary,
  eventually,
  expectNoLeak,
  findCanaries,
  LogLines,
  scanDirectory,
} from '@conclave/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { startAgent, type RunningAgent, type StartAgentOptions } from './index.ts'

const clusterId = '5c6a1c1e-0000-4000-8000-000000000002'
const planted = canary('released')

/** A master of one test: it registers whoever comes, acknowledges, and releases the canary. */
class TestMaster {
  readonly heard: FromAgent[] = []
  readonly server: AgentLinkServer<ToAgent, FromAgent>
  connection: AgentConnection<ToAgent, FromAgent> | undefined
  acknowledges = true
  value: Uint8Array = planted.bytes
  #lastId = 0

  private constructor(identity: Awaited<ReturnType<typeof issueCertificate>>) {
    this.server = new AgentLinkServer<ToAgent, FromAgent>({
      clusterId,
      identity,
      listen: { host: '127.0.0.1', port: 0 },
      parse: (value) => FromAgent.parse(value),
      onConnection: (connection) => {
        this.connection = connection
        connection.onMessage((message) => this.#hear(connection, message))
        connection.onClose(() => {
          if (this.connection === connection) this.connection = undefined
        })
      },
    })
  }

  static async start(authority: Authority): Promise<{ master: TestMaster; port: number }> {
    const identity = await issueCertificate(authority, { id: 'master-1', role: 'conclave-master' })
    const master = new TestMaster(identity)
    return { master, ...(await master.server.start()) }
  }

  said<Type extends FromAgent['type']>(type: Type): Extract<FromAgent, { type: Type }>[] {
    return this.heard.filter(
      (message): message is Extract<FromAgent, { type: Type }> => message.type === type,
    )
  }

  /** Of every status once, however often it was sent. */
  get states(): string[] {
    const statuses = this.said('status-update').map(({ status }) => status)
    return [...new Map(statuses.map(({ uuid, state }) => [uuid, state])).values()]
  }

  send(message: ToAgent): void {
    this.connection?.send(message)
  }

  launch(task: object, taskId = 't1'): void {
    const rest = { name: 'a task', task_id: { value: taskId }, agent_id: { value: 'M-S1' } }
    const containerId = `c-${taskId}`
    // As it would come from the master's records, and so as JSON.
    const message: unknown = {
      type: 'launch',
      frameworkId: 'f1',
      containerId,
      task: { ...rest, ...task },
    }
    this.send(message as ToAgent)
  }

  logs(taskId = 't1'): void {
    this.send({ type: 'open-logs', sessionId: 's1', frameworkId: 'f1', taskId, follow: true })
  }

  get output(): string {
    const chunks = this.said('session-output').map(({ data }) => Buffer.from(data, 'base64'))
    return Buffer.concat(chunks).toString()
  }

  #hear(connection: AgentConnection<ToAgent, FromAgent>, message: FromAgent): void {
    this.heard.push(message)
    if (message.type === 'register') {
      const agentId = message.agentId ?? `M-S${++this.#lastId}`
      connection.send({ type: 'registered', agentId, heartbeatSeconds: 2 })
    }
    if (message.type === 'status-update' && this.acknowledges) {
      const { frameworkId, status } = message
      connection.send({
        type: 'status-acknowledged',
        frameworkId,
        taskId: status.task_id.value,
        uuid: status.uuid ?? '',
      })
    }
    if (message.type === 'resolve') this.#release(connection, message)
  }

  #release(
    connection: AgentConnection<ToAgent, FromAgent>,
    { requestId, taskId, containerId, publicKey, secrets }: Extract<FromAgent, { type: 'resolve' }>,
  ): void {
    const resolutions = secrets.map(({ secret }) => {
      const path = secret.reference?.name ?? ''
      const context = boxContext({ taskId, containerId, path, version: 1 })
      const to = Buffer.from(publicKey, 'base64')
      const sealed = box(to, new Redacted(this.value), context, new SystemRandom())
      const boxed = Buffer.from(sealed).toString('base64')
      const sizeBytes = this.value.length
      return { outcome: 'value' as const, path, version: 1, sizeBytes, box: boxed }
    })
    connection.send({ type: 'resolved', requestId, resolutions })
  }
}

const secret = { type: 'REFERENCE', reference: { name: 'dev/db' } }
const withSecrets = (value: string) => ({
  command: { value, environment: { variables: [{ name: 'DB', type: 'SECRET', secret }] } },
  container: {
    type: 'MESOS',
    volumes: [{ mode: 'RO', container_path: 'db', source: { type: 'SECRET', secret } }],
  },
})

/** The agent asks at one of them alone. */
const portsAt = (agents: number) => ({ peers: 1, agents, join: 1, conclave: 1, dcos: 1, mesos: 1 })

describe('an agent on a real link', () => {
  let authority: Authority
  let directory: string
  let master: TestMaster
  let port: number
  const agents: RunningAgent[] = []

  beforeAll(async () => {
    authority = await createAuthority({ clusterId })
    directory = await mkdtemp(join(tmpdir(), 'conclave-agent-'))
    ;({ master, port } = await TestMaster.start(authority))
  })
  afterEach(() => {
    for (const agent of agents.splice(0)) agent.destroy()
    master.heard.length = 0
    master.acknowledges = true
  })
  afterAll(async () => {
    await master.server.close()
    await rm(directory, { recursive: true })
  })

  async function start(more: Partial<StartAgentOptions> = {}): Promise<RunningAgent> {
    const agent = await startAgent({
      clusterId,
      identity: await issueCertificate(authority, { id: 'agent-1', role: 'conclave-agent' }),
      masters: [{ masterId: 'master-1', nodeId: 1, host: '127.0.0.1', ports: portsAt(port) }],
      directory,
      hostname: 'box',
      resources: { cpus: 4, mem: 4096 },
      limits: { tickMs: 20, statusRetryFirstMs: 40 },
      ...more,
    })
    agents.push(agent)
    await eventually(() => agent.isRegistered)
    return agent
  }

  test('AA1: it registers, says what it offers, and is the same agent after a restart', async () => {
    const first = await start()
    const { agentId } = first
    await first.stop()

    const second = await start()

    expect(agentId).toMatch(/^M-S\d+$/)
    expect(second.agentId).toBe(agentId)
    expect(master.said('register').at(-1)).toMatchObject({
      agentId,
      runtime: 'memory',
      info: {
        hostname: 'box',
        resources: [{ name: 'cpus', scalar: { value: 4 } }, { name: 'mem' }],
      },
    })
  })

  test('AA10: finds masters that came after it, although all that it was told of are gone', async () => {
    const own = await mkdtemp(join(tmpdir(), 'conclave-agent-'))
    const [gone, newcomer] = [await TestMaster.start(authority), await TestMaster.start(authority)]
    const told = { masterId: 'master-1', nodeId: 1, host: '127.0.0.1', ports: portsAt(gone.port) }
    const first = await start({ directory: own, masters: [told] })
    const listeners = Object.fromEntries(
      Object.entries(portsAt(newcomer.port)).map(([name, at]) => [
        name,
        { host: '127.0.0.1', port: at },
      ]),
    )
    gone.master.send({ type: 'masters', masters: [{ masterId: 'master-4', nodeId: 4, listeners }] })
    await vi.waitFor(async () =>
      expect(await readFile(join(own, 'masters.json'), 'utf8')).toContain('master-4'),
    )
    await first.stop()
    await gone.master.server.close()

    const second = await start({ directory: own, masters: [told] })

    expect(second.agentId).toBe(first.agentId)
    expect(newcomer.master.said('register')).toHaveLength(1)
    second.destroy()
    await newcomer.master.server.close()
    await rm(own, { recursive: true })
  })

  test('AA2: a task finds its secrets, and its output and exit code come back', async () => {
    master.value = Uint8Array.from({ length: 65_536 }, (_, index) => (index * 7) & 255 || 1)
    const digest = createHash('sha256').update(master.value).digest('hex')
    const agent = await start()
    master.launch(withSecrets('sha256sum < db; printf %s "$DB" | sha256sum; exit 7'))
    master.logs()

    await eventually(() => master.said('session-end').length > 0)
    await eventually(() => master.states.length === 3)

    expect(master.output).toBe(`${digest}  -\n${digest}  -\n`)
    expect(master.states).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED'])
    expect(master.said('status-update').at(-1)?.status).toMatchObject({
      message: 'Command exited with status 7',
      labels: { labels: [{ key: 'conclave.exit-code', value: '7' }] },
    })
    expect(master.said('session-end')).toMatchObject([{ exitCode: 7 }])
    expect(agent.containers).toBe(0)
    master.value = planted.bytes
  })

  test('AA2: seven secrets of 1 MiB each arrive, however small a message has to be', async () => {
    master.value = new Uint8Array(1_000_000).fill(65)
    await start()
    const volumes = Array.from({ length: 7 }, (_, index) => ({
      mode: 'RO',
      container_path: `db${index}`,
      source: { type: 'SECRET', secret },
    }))
    master.launch({
      command: { value: 'cat db* | wc -c' },
      container: { type: 'MESOS', volumes },
    })
    master.logs()

    await eventually(() => master.said('session-end').length > 0)

    expect(master.output).toBe('7000000\n')
    master.value = planted.bytes
  })

  test('AA3 S2: the value is in no message, no log line and no file', async () => {
    const lines: string[] = []
    const to = new Writable({
      write(line: Buffer, _encoding, done) {
        lines.push(line.toString())
        done()
      },
    })
    await start({ log: createLogger({ to, level: 'trace' }) })
    master.launch(withSecrets('sleep 3600'))
    await eventually(() => master.states.includes('TASK_RUNNING'))
    const names = await readdir(directory, { recursive: true })
    const files = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))
    master.send({ type: 'kill', frameworkId: 'f1', taskId: 't1', graceMs: 0, tellKilling: false })
    await eventually(() => master.states.includes('TASK_KILLED'))

    expectNoLeak({ lines, files, heard: master.heard }, [planted])
    expect(names).toEqual(['agent.json'])
    expect(lines.length).toBeGreaterThan(0)
  })

  async function launched(taskId: string): Promise<readonly string[]> {
    const look =
      'cat /proc/2/environ | grep -c MESOS_CONTAINERIZER; ps -ef | cat; echo seen; sleep 3600'
    master.launch(withSecrets(look), taskId)
    await eventually(() => master.states.includes('TASK_RUNNING'))
    const { hits } = await scanDirectory(directory, [planted])
    return [...new Set(hits.map(({ place }) => place))]
  }

  describe('AA11: what Mesos would leave on its disk', () => {
    const listener = { host: '127.0.0.1', port: 0 }
    test('is there when it was told to leak, said when it starts, and gone when it starts without', async () => {
      const log = new LogLines()
      const leaky = await start({
        listener: { ...listener, faithfulLeaks: true },
        log: createLogger({ to: log, level: 'trace' }),
      })
      expect(log.text).toContain('FAITHFUL LEAKS ARE ON')
      expect(master.said('register').at(-1)?.info.attributes).toMatchObject([
        { name: 'faithful_leaks', text: { value: 'true' } },
      ])

      const places = await launched('leaky')
      master.logs('leaky')
      await eventually(() => master.output.includes('seen\n'))

      expect(places).toEqual(['faithful-leaks/runtime_dir/containers/c-leaky/launch_info'])
      expect(master.output).toContain(`"value":"${planted.text}"`)
      // The helper is root's, and a task is not.
      expect(master.output).toContain('/proc/2/environ: Permission denied')
      // As kill -9 would: nobody cleans up.
      leaky.destroy()
      expect((await scanDirectory(directory, [planted])).hits).not.toEqual([])

      await start({ listener, log: createLogger({ to: log, level: 'trace' }) })

      expect(await readdir(directory)).not.toContain('faithful-leaks')
      expect((await scanDirectory(directory, [planted])).hits).toEqual([])
      expect(findCanaries(Buffer.from(log.text), [planted])).toEqual([])
    })

    test('is nowhere when it was not', async () => {
      await start({ listener })

      expect(await launched('safe')).toEqual([])
      master.logs('safe')
      await eventually(() => master.output.includes('seen\n'))
      expect(master.output).not.toContain(planted.text)
      expect(master.output).not.toContain('mesos-')
      expect(master.said('register').at(-1)?.info.attributes).toEqual([])
    })
  })

  test('AA4: what happened while nobody was there is told after, until it is acknowledged', async () => {
    master.acknowledges = false
    await start()
    master.launch({ command: { value: 'exit 0' } })
    await eventually(() => master.said('status-update').length >= 3)
    expect(master.states).toEqual(['TASK_STARTING'])

    master.acknowledges = true
    master.connection?.close()
    await eventually(() => master.states.at(-1) === 'TASK_FINISHED')

    expect(master.states).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
    expect(master.said('register').at(-1)?.tasks).toMatchObject([{ taskId: 't1' }])
  })

  test('AA5: an exec talks both ways, and is told how it ended', async () => {
    await start()
    master.launch(withSecrets('sleep 3600'))
    await eventually(() => master.states.includes('TASK_RUNNING'))
    const session = { sessionId: 's2' }
    const argv = ['sh', '-c', 'read line; echo "$line, $EXTRA"; exit 3']
    master.send({
      type: 'open-exec',
      ...session,
      frameworkId: 'f1',
      taskId: 't1',
      argv,
      env: { EXTRA: 'more' },
    })
    const data = Buffer.from('hello\n').toString('base64')
    master.send({ type: 'session-input', ...session, data })

    await eventually(() => master.said('session-end').length > 0)

    expect(master.output).toBe('hello, more\n')
    expect(master.said('session-end')).toMatchObject([{ sessionId: 's2', exitCode: 3 }])
  })

  test('AA9: a health check runs in the container, and its failures end the task', async () => {
    await start()
    master.launch({
      command: { value: 'touch well; sleep 3600' },
      health_check: {
        type: 'COMMAND',
        command: { value: 'rm well' },
        delay_seconds: 0,
        interval_seconds: 0.02,
        grace_period_seconds: 0,
        consecutive_failures: 1,
      },
      kill_policy: { grace_period: { nanoseconds: 0 } },
    })

    await eventually(() => master.states.at(-1) === 'TASK_FAILED')

    const told = master.said('status-update').map(({ status }) => status.healthy)
    expect([...new Set(told)]).toEqual([undefined, true, false])
  })

  test('AA6: told to stop, it ends what runs and says so', async () => {
    const agent = await start()
    master.launch({ command: { value: "trap 'exit 0' TERM; while :; do sleep 0.05; done" } })
    await eventually(() => master.states.includes('TASK_RUNNING'))

    await Promise.all([agent.stop(), agent.stop()])

    expect(master.states.at(-1)).toBe('TASK_KILLED')
    expect(agent.containers).toBe(0)
    await eventually(() => master.connection === undefined)
  })

  test('AA7 S4: destroyed, it says nothing and leaves nothing; the next one knows of no task', async () => {
    const runtime = new MemoryRuntime()
    const agent = await start({ runtime })
    master.launch(withSecrets('sleep 3600'))
    await eventually(() => master.states.includes('TASK_RUNNING'))
    const told = master.states.length
    const [container] = runtime.containers.values()
    const secrets = container?.tmpfs

    agent.destroy()
    expect(runtime.containers.size).toBe(0)
    expect(secrets?.storage.contents.volume).toBeUndefined()
    expect(container?.variable('DB')).toBeUndefined()
    await eventually(() => master.connection === undefined)
    const again = await start()

    expect(master.states).toHaveLength(told)
    expect(again.agentId).toBe(agent.agentId)
    expect(master.said('register').at(-1)?.tasks).toEqual([])
    expect(await readdir(directory, { recursive: true })).toEqual(['agent.json'])
  })

  test('AA8: an id whose writing was interrupted is removed, and a damaged one is named', async () => {
    const other = await mkdtemp(join(tmpdir(), 'conclave-agent-'))
    await writeFile(join(other, 'agent.json.new'), '{"agentId"')
    const agent = await start({ directory: other })
    expect(await readdir(other)).toEqual(['agent.json'])
    await agent.stop()

    await writeFile(join(other, 'agent.json'), 'no json')
    await expect(start({ directory: other })).rejects.toMatchObject({
      code: 'agent.directory-unusable',
    })
    await rm(other, { recursive: true })
  })
})
