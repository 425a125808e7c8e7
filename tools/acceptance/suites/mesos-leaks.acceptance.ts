import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { canary, findCanaries, scanDirectory, type Canary } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  answersOf,
  Conclave,
  Framework,
  Home,
  ImageRegistry,
  inline,
  leakModes,
  processFacts,
  reference,
  repository,
  resources,
  taskSpec,
  until,
  untilTerm,
  variable,
  volume,
} from '../src/index.ts'

/*
 * The leak map (mesos.md §21) on real processes, in both modes; the old way of credentials for a whole
 * agent; and an executor that says it is another one.
 */

const password = canary('agent-wide password')
const ofVariable = canary('inline variable')
const ofVolume = canary('inline volume')
const stored = canary('stored')
const exampleOf = (name: string, file: string): string =>
  readFileSync(join(repository, 'examples/mesos', name, file), 'utf8')

const auth = (): string => Buffer.from(`alice:${password.text}`).toString('base64')

const holding = (shown: ReadonlyMap<string, string>, value: Canary | string): string[] =>
  [...shown]
    .filter(([, text]) =>
      typeof value === 'string'
        ? text.includes(value)
        : findCanaries(Buffer.from(text), [value]).length > 0,
    )
    .map(([name]) => name)
    .toSorted()

/** An executor that repeats to its framework what it was told to run. */
const toldProgram = `
const { MESOS_AGENT_ENDPOINT, MESOS_FRAMEWORK_ID, MESOS_EXECUTOR_ID } = process.env
const post = (call) =>
  fetch('http://' + MESOS_AGENT_ENDPOINT + '/api/v1/executor', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer ' + process.env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN,
    },
    body: JSON.stringify({
      framework_id: { value: MESOS_FRAMEWORK_ID },
      executor_id: { value: MESOS_EXECUTOR_ID },
      ...call,
    }),
  })
let text = ''
for await (const chunk of (await post({ type: 'SUBSCRIBE', subscribe: {} })).body) {
  text += Buffer.from(chunk).toString()
  const at = text.indexOf('{"type":"LAUNCH"')
  if (at < 0) continue
  const length = Number(/(\\d+)\\n$/.exec(text.slice(0, at))[1])
  if (text.length < at + length) continue
  const words = JSON.stringify(JSON.parse(text.slice(at, at + length)).launch)
  await post({ type: 'MESSAGE', message: { data: Buffer.from(words).toString('base64') } })
  text = ''
}
`

const counted = (status: number, all: readonly number[]): number =>
  all.filter((one) => one === status).length

describe.each(leakModes)('$mode', ({ flags, leaks }) => {
  const home = new Home()
  let cluster: Conclave
  let framework: Framework
  let registry: ImageRegistry
  const refused: { readonly call: string; readonly status: number }[] = []

  beforeAll(async () => {
    const user = { name: 'alice', password: password.text, mayPull: 'tenant-a/*' }
    registry = await ImageRegistry.start(home, [user])
    const config = registry.configOf('alice', password.text)
    const settings = [
      'executors=process',
      'image_providers=docker',
      `docker_config=${config}`,
      `docker_containerizer=${leaks ? 'faithful' : 'strict'}`,
    ]
    const given = settings.flatMap((setting) => ['--agent-setting', setting])
    cluster = await Conclave.start(['--agents', '1', ...flags, ...given], { home })
    await cluster.put('leaks/stored', stored.text)
    framework = await Framework.subscribe(cluster, { name: 'leaks', failoverTimeoutSeconds: 60 })
    const leader = await cluster.leader()
    void cluster.hear(leader, 'executor.refused', (event) => void refused.push(event))
  })
  afterAll(async () => {
    framework?.close()
    await cluster?.stop()
    await registry?.end()
    home.remove()
  })

  /** What an operator is shown by the agent itself, by endpoint. */
  async function agentShows(): Promise<ReadonlyMap<string, string>> {
    const { uid, password: own } = cluster.ready.credentials
    const authorization = `Basic ${Buffer.from(`${uid}:${own}`).toString('base64')}`
    const base = cluster.ready.agents[0]?.listeners['mesos'] ?? ''
    const shown = new Map<string, string>()
    for (const path of ['/state', '/flags']) {
      const answer = await fetch(new URL(path, base), { headers: { authorization } })
      shown.set(path, await answer.text())
    }
    for (const type of ['GET_STATE', 'GET_EXECUTORS', 'GET_TASKS', 'GET_CONTAINERS', 'GET_FLAGS']) {
      const answer = await fetch(new URL('/api/v1', base), {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ type }),
      })
      shown.set(type, await answer.text())
    }
    return shown
  }

  test('agent-docker-config: opens the image for whoever runs a task, and is told in flags only with leaks', async () => {
    const text = exampleOf('agent-docker-config', 'task.json')
    const spec = JSON.parse(text.replace('127.0.0.1:5000', registry.host)) as object
    const name = 'agent-docker-config'

    await framework.launch([{ ...spec, task_id: { value: name } }])
    await framework.status(name, 'TASK_FINISHED')

    const said = await until('the task has said what is in the image', async () => {
      const { stdout } = await cluster.cli(['task', 'logs', name])
      return stdout.includes('only tenant-a may read this') && stdout
    })
    const shown = await agentShows()
    expect(holding(shown, auth())).toEqual(leaks ? ['/flags', '/state', 'GET_FLAGS'] : [])
    expect(said).not.toContain(auth())
  })

  test('open-uri: everybody can fetch it, and the sandbox of a task that has ended shows it only with leaks', async () => {
    const config = JSON.stringify({ [registry.host]: { auth: auth() } })
    const files = createServer((_request, response) => response.end(config))
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
    try {
      const host = `127.0.0.1:${(files.address() as AddressInfo).port}`
      const spec = JSON.parse(
        exampleOf('open-uri', 'task.json').replace('127.0.0.1:8000', host),
      ) as object
      await framework.launch([{ ...spec, task_id: { value: 'open-uri' } }])
      await framework.status('open-uri', 'TASK_FINISHED')

      expect(await (await fetch(`http://${host}/dockercfg`)).text()).toContain(auth())
      const { uid, password: own } = cluster.ready.credentials
      const authorization = `Basic ${Buffer.from(`${uid}:${own}`).toString('base64')}`
      const sandbox = `/frameworks/${framework.id}/executors/open-uri/runs/latest`
      const read = async (endpoint: string, name: string): Promise<string> => {
        const url = new URL(`/files/${endpoint}`, cluster.ready.agents[0]?.listeners['mesos'])
        url.search = String(new URLSearchParams({ path: sandbox + name, offset: '0' }))
        return (await fetch(url, { headers: { authorization } })).text()
      }
      expect(await read('read', '/stdout')).toContain('644 .dockercfg')
      expect(await read('browse', '')).toContain('/stdout')
      expect((await read('browse', '')).includes('.dockercfg')).toBe(leaks)
      expect((await read('download', '/.dockercfg')).includes(auth())).toBe(leaks)
    } finally {
      files.close()
    }
  })

  test('docker-containerizer: secrets of a DOCKER container are refused, or lost as in Mesos', async () => {
    const spec = JSON.parse(exampleOf('docker-containerizer', 'task.json')) as object
    const name = 'docker-containerizer'
    await framework.launch([{ ...spec, task_id: { value: name } }])

    const end = await framework.status(name, leaks ? 'TASK_FINISHED' : 'TASK_FAILED')
    const logs = await until('the task has said what it was given, if it ran', async () => {
      const { stdout } = await cluster.cli(['task', 'logs', name])
      return !leaks || stdout.includes('no secret came') ? { stdout } : undefined
    })

    expect({
      said: logs.stdout.trim(),
      refused: end.message?.startsWith('Failed to launch container: '),
    }).toEqual({
      said: leaks ? 'no secret came' : '',
      refused: !leaks,
    })
  })

  test('inline values are shown where Mesos shows them, or nowhere', async () => {
    const task = taskSpec('inline', untilTerm, {
      variables: [
        variable('INLINE', inline(ofVariable.bytes)),
        variable('STORED', reference('leaks/stored')),
      ],
      volumes: [volume('keys/inline', inline(ofVolume.bytes))],
    })
    const { agent_id } = await framework.launch([{ ...task, task_id: { value: 'inline' } }])
    await framework.status('inline', 'TASK_RUNNING')

    const ofAgent = await agentShows()
    const ofCommand = ['/state', 'GET_EXECUTORS', 'GET_STATE', 'GET_TASKS']
    expect(holding(ofAgent, ofVolume)).toEqual(leaks ? ofCommand : [])
    expect(holding(ofAgent, ofVariable)).toEqual(leaks ? ['GET_EXECUTORS', 'GET_STATE'] : [])
    expect(holding(ofAgent, stored)).toEqual([])
    const subjects = { secrets: ['leaks/stored'], runs: [], tasks: ['inline'] }
    const leader = await cluster.leader()
    const ofMaster = new Map(
      (await answersOf(cluster, leader, cluster.ready.credentials, subjects)).map(
        ({ place, bytes }) => [place, Buffer.from(bytes).toString()],
      ),
    )
    expect(holding(ofMaster, ofVolume).length > 0).toBe(leaks)
    expect(holding(ofMaster, ofVariable)).toEqual([])
    expect(holding(ofMaster, stored)).toEqual([])

    // What is on an agent's disk then, `mesos-disk` tells. No other disk has anything, and no process of ours.
    const values = [ofVariable, ofVolume, stored]
    const { hits } = await scanDirectory(cluster.directory, values)
    const elsewhere = hits.filter(({ place }) => !place.includes('/faithful-leaks/'))
    expect({ elsewhere, isAny: hits.length > 0 }).toEqual({ elsewhere: [], isAny: leaks })
    const facts = processFacts(cluster).filter(
      ({ bytes }) => findCanaries(bytes, values).length > 0,
    )
    expect(facts.map(({ place }) => place)).toEqual([])
    await framework.call('KILL', { kill: { task_id: { value: 'inline' }, agent_id } })
    await framework.status('inline', 'TASK_KILLED')
  })

  test('LAUNCH: an executor is told the inline values of its tasks only with leaks', async () => {
    const file = home.file('told.mjs')
    writeFileSync(file, toldProgram)
    const command = `exec ${JSON.stringify(process.execPath)} ${JSON.stringify(file)}`
    const { executor } = JSON.parse(exampleOf('spoofing', 'task.json')) as { executor: object }
    const volumes = [volume('keys/inline', inline(ofVolume.bytes))]
    const { agent_id } = await framework.launch(
      [
        {
          name: 'told',
          task_id: { value: 'told' },
          resources,
          container: { type: 'MESOS', volumes },
          executor: { ...executor, executor_id: { value: 'told' }, command: { value: command } },
        },
      ],
      0.5,
    )
    const { task } = await said<{ task: object }>('task')

    expect(JSON.stringify(task)).toContain('"container_path":"keys/inline"')
    expect(findCanaries(Buffer.from(JSON.stringify(task)), [ofVolume]).length > 0).toBe(leaks)
    const { hits } = await scanDirectory(cluster.directory, [ofVolume])
    expect(hits.filter(({ place }) => !place.includes('/faithful-leaks/'))).toEqual([])
    await framework.call('SHUTDOWN', { shutdown: { executor_id: { value: 'told' }, agent_id } })
  })

  test('spoofing: each attempt is answered 401 or 403 and on record, and the victim goes on', async () => {
    const program = join(repository, 'examples/mesos/spoofing/executor.mjs')
    const command = `exec ${JSON.stringify(process.execPath)} ${JSON.stringify(program)}`
    const spec = (name: string, data?: object): object => {
      const example = JSON.parse(exampleOf('spoofing', 'task.json')) as { executor: object }
      return {
        ...example,
        name,
        task_id: { value: name },
        resources,
        executor: {
          ...example.executor,
          executor_id: { value: name },
          command: { value: command },
        },
        ...(data && { data: Buffer.from(JSON.stringify(data)).toString('base64') }),
      }
    }
    const { agent_id } = await framework.launch([spec('victim')], 0.5)
    const victim = await said<{ container: string }>('container')

    await framework.launch([spec('spoofer', victim)], 0.5)
    const { answers } = await said<{ answers: Readonly<Record<string, number>> }>('answers')

    expect(answers).toEqual({
      'a status of the victim, without a token': 401,
      'a status of the victim, with a forged token': 401,
      'a status of the victim, with its own token': 403,
      "the victim's stream, without a token": 401,
      "the victim's stream, with its own token": 403,
      "a container in the victim's": 403,
      "the end of the victim's container": 403,
      'what the victim prints': 403,
      'the state of the agent': 403,
    })
    const attempts = Object.values(answers)
    await until('every attempt is told of', () => refused.length >= attempts.length)
    const told = refused.map(({ status }) => status)
    expect([counted(401, told), counted(403, told)]).toEqual([
      counted(401, attempts),
      counted(403, attempts),
    ])
    await framework.status('spoofer', 'TASK_FINISHED')
    expect(framework.statusesOf('victim').map(({ state }) => state)).toEqual(['TASK_RUNNING'])
    await framework.call('KILL', { kill: { task_id: { value: 'victim' }, agent_id } })
    await framework.status('victim', 'TASK_KILLED')
  })

  /** The newest word of an executor that has `key` in it. */
  const said = <T>(key: string): Promise<T> =>
    until(`an executor tells of ${key}`, () => {
      for (const { message } of framework.events.toReversed()) {
        if (message === undefined) continue
        const words = JSON.parse(Buffer.from(message.data, 'base64').toString()) as object
        if (key in words) return words as T
      }
      return undefined
    })
})
