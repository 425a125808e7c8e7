import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { canary, findCanaries, scanDirectory, type Canary } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  Framework,
  Home,
  ImageRegistry,
  leakModes,
  processFacts,
  Program,
  reference,
  repository,
  taskSpec,
  until,
  untilTerm,
  volume,
} from '../src/index.ts'

/*
 * The rows of the leak map (mesos.md §21) that no endpoint shows: an agent's disk, its helpers, and images that
 * it keeps, each in both modes; examples/mesos/agent-disk is the lesson.
 */

const inlineValue = canary('inline')
const stored = canary('stored')
const ofFile = canary('file')
const alice = canary('alice')
const control = canary('control')
const values = [inlineValue, stored, ofFile]

const exampleOf = (name: string): string =>
  readFileSync(join(repository, 'examples/mesos', name, 'task.json'), 'utf8')

const has = (text: string, one: Canary): boolean =>
  findCanaries(Buffer.from(text), [one]).length > 0

const encoded = (text: string): string => Buffer.from(text).toString('base64')

describe.each(leakModes)('$mode', ({ flags, leaks }) => {
  const home = new Home()
  const args = ['--agents', '1', '--agent-setting', 'image_providers=docker']
  let cluster: Conclave
  let framework: Framework
  let registry: ImageRegistry
  let files: Server
  let filesHost = ''
  const waiting: ServerResponse[] = []
  const told: string[] = []

  beforeAll(async () => {
    const user = { name: 'alice', password: alice.text, mayPull: 'tenant-a/*' }
    registry = await ImageRegistry.start(home, [user])
    files = createServer((_request, response) => waiting.push(response))
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
    filesHost = `127.0.0.1:${(files.address() as AddressInfo).port}`
    cluster = await Conclave.start([...args, ...flags], { home })
    await cluster.put('examples/db', JSON.stringify({ password: stored.text }))
    await cluster.put('disk/file', ofFile.text)
    await cluster.put('registry/alice', registry.configOf('alice', alice.text))
    framework = await Framework.subscribe(cluster, {
      name: 'disk',
      failoverTimeoutSeconds: 60,
      checkpoint: true,
    })
    void cluster.hear(await cluster.leader(), 'secret.leaked', ({ at }) => void told.push(at))
  })
  afterAll(async () => {
    framework?.close()
    files?.closeAllConnections()
    files?.close()
    await cluster?.stop()
    await registry?.end()
    home.remove()
  })

  /** The files of the whole cluster in which a value can be read, as Mesos calls them. */
  async function leftIn(one: Canary): Promise<readonly string[]> {
    const { hits } = await scanDirectory(cluster.directory, [one])
    const places = [...new Set(hits.map(({ place }) => place))].toSorted()
    return places.map((place) =>
      place
        .replace(/^agents\/agent-1\/faithful-leaks\//, '')
        .replace(/^work_dir\/meta\/.*\//, 'meta/')
        .replace(/(containers|\.secret)\/[^/]+/, '$1/ID')
        .replace(/[0-9a-f]{8}-[0-9a-f-]{27}$/, 'UUID'),
    )
  }

  async function ran(spec: object, id: string, state: string): Promise<string> {
    await framework.launch([{ ...spec, task_id: { value: id } }])
    return (await framework.status(id, state)).message ?? ''
  }

  const here = (places: readonly string[]): readonly string[] => (leaks ? places : [])

  test('agent-disk: each value is on the disk exactly where Mesos has it, or nowhere', async () => {
    const spec = exampleOf('agent-disk').replaceAll('Y2hhbmdlLW1l', encoded(inlineValue.text))
    const task = { ...(JSON.parse(spec) as object), task_id: { value: 'agent-disk' } }
    const { agent_id } = await framework.launch([task])
    await framework.status('agent-disk', 'TASK_RUNNING')

    expect(await leftIn(inlineValue)).toEqual(
      here([
        'runtime_dir/containers/ID/config',
        'runtime_dir/containers/ID/launch_info',
        'meta/executor.info',
        'meta/task.info',
      ]),
    )
    expect(await leftIn(stored)).toEqual(here(['runtime_dir/containers/ID/launch_info']))
    expect(cluster.complaints.includes('FAITHFUL LEAKS ARE ON')).toBe(leaks)
    expect(cluster.logOf('agent-1').includes('FAITHFUL LEAKS ARE ON')).toBe(leaks)
    if (leaks) await until('it is told where', () => told.some((at) => at.endsWith('launch_info')))
    expect(told.length > 0).toBe(leaks)

    // The search finds what is there: it would have found a value by default, too.
    const planted = join(cluster.directory, 'agents/agent-1/planted')
    writeFileSync(planted, control.text)
    expect(await leftIn(control)).toEqual(['agents/agent-1/planted'])

    await framework.call('KILL', { kill: { task_id: { value: 'agent-disk' }, agent_id } })
    await framework.status('agent-disk', 'TASK_KILLED')
    // What is of the container is gone with it, and what was checkpointed stays.
    expect(await leftIn(inlineValue)).toEqual(here(['meta/executor.info', 'meta/task.info']))
    expect(await leftIn(stored)).toEqual([])
  })

  test('agent-disk: its helpers are shown with the values, or not at all', async () => {
    const spec = exampleOf('agent-disk').replaceAll('Y2hhbmdlLW1l', encoded(inlineValue.text))
    const task = { ...(JSON.parse(spec) as object), task_id: { value: 'helpers' } }
    const { agent_id } = await framework.launch([task])
    await framework.status('helpers', 'TASK_RUNNING')
    const exec = async (...program: readonly string[]): Promise<string> =>
      (await cluster.cli(['task', 'exec', 'helpers', '--', ...program])).stdout

    const shown = await exec('ps', '-ef')
    const environments = await exec('sh', '-c', 'cat /proc/[0-9]*/environ | tr "\\0" "\\n"')
    const session = await exec('printenv', 'DB_PASSWORD')

    expect(shown).toContain('ps -ef')
    expect([has(shown, inlineValue), has(shown, stored)]).toEqual([leaks, leaks])
    expect(shown.includes('mesos-executor --launcher_dir=/usr/libexec/mesos')).toBe(leaks)
    const notes = environments.split('\n').find((line) => line.startsWith('MESOS_CONTAINERIZER_'))
    expect(notes === undefined ? [] : [has(notes, inlineValue), has(notes, stored)]).toEqual(
      leaks ? [true, true] : [],
    )
    // A session has what its container has, in both modes: it is for who may have the secrets.
    expect(session.trim()).toBe(stored.text)
    const facts = processFacts(cluster).filter(
      ({ bytes }) => findCanaries(bytes, values).length > 0,
    )
    expect(facts.map(({ place }) => place)).toEqual([])
    await framework.call('KILL', { kill: { task_id: { value: 'helpers' }, agent_id } })
    await framework.status('helpers', 'TASK_KILLED')
  })

  test("a volume's value lies in .secret until it is moved into the container, or nowhere", async () => {
    const spec = taskSpec('fetches', untilTerm, {
      volumes: [volume('keys/file', reference('disk/file'))],
    }) as { command: object }
    const uris = [{ value: `http://${filesHost}/slow`, extract: false }]
    const { agent_id } = await framework.launch([
      { ...spec, command: { ...spec.command, uris }, task_id: { value: 'fetches' } },
    ])
    await until('it fetches', () => waiting.length > 0)

    expect(await leftIn(ofFile)).toEqual(here(['runtime_dir/.secret/ID/UUID']))

    for (const response of waiting.splice(0)) response.end('what it waited for')
    await framework.status('fetches', 'TASK_RUNNING')
    expect(await leftIn(ofFile)).toEqual([])
    await framework.call('KILL', { kill: { task_id: { value: 'fetches' }, agent_id } })
    await framework.status('fetches', 'TASK_KILLED')
  })

  test("image-pull: a kept image is run by whoever names it, or by its owner's tasks alone", async () => {
    const owners = JSON.parse(
      exampleOf('image-pull').replace('127.0.0.1:5000', registry.host),
    ) as object
    const others = JSON.parse(
      exampleOf('agent-docker-config').replace('127.0.0.1:5000', registry.host),
    ) as object
    expect(await ran(others, 'before', 'TASK_FAILED')).toContain('401 Unauthorized')
    await ran(owners, 'owner', 'TASK_FINISHED')
    const why = await ran(others, 'after', leaks ? 'TASK_FINISHED' : 'TASK_FAILED')

    expect(why.includes('401 Unauthorized')).toBe(!leaks)
    const { stdout } = await cluster.cli(['task', 'logs', 'after'])
    expect(stdout.includes('only tenant-a may read this')).toBe(leaks)
    const { hits } = await scanDirectory(cluster.directory, [alice])
    expect(hits).toEqual([])
  })

  test('an agent that starts without the flag has nothing of an earlier one, and no file can turn it on', async () => {
    const spec = exampleOf('agent-disk').replaceAll('Y2hhbmdlLW1l', encoded(inlineValue.text))
    const task = { ...(JSON.parse(spec) as object), task_id: { value: 'crash' } }
    await framework.launch([task])
    await framework.status('crash', 'TASK_RUNNING')
    framework.close()
    // Nobody cleans up.
    process.kill(cluster.pidOf('agent-1'), 'SIGKILL')
    await cluster.stop()
    const left = join(cluster.directory, 'agents/agent-1/faithful-leaks')
    expect(existsSync(left)).toBe(leaks)
    expect((await leftIn(stored)).length > 0).toBe(leaks)

    cluster = await Conclave.start(args, { home })

    expect(existsSync(left)).toBe(false)
    expect(await leftIn(stored)).toEqual([])
    expect(await leftIn(inlineValue)).toEqual([])
    const run = join(cluster.directory, 'run')
    for (const file of readdirSync(run)) {
      expect(readFileSync(join(run, file), 'utf8')).not.toContain('faithfulLeaks')
    }
    const config = home.file('agent.json')
    const own = { dataDirectory: home.file('none'), masters: [], faithfulLeaks: true }
    writeFileSync(config, JSON.stringify(own), { mode: 0o600 })
    const agent = new Program(
      process.execPath,
      [join(repository, 'apps/agent/src/main.ts'), '--config', config],
      { env: home.environment },
    )
    const { code, stderr } = await agent.outcome()
    expect(code).toBe(2)
    expect(stderr).toContain('it is for the command line alone: say --faithful-leaks there')
  })
})
