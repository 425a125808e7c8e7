import { setImmediate as turn } from 'node:timers/promises'
import { canary } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { containerOf, type Container } from '../containers/container.ts'
import type { Engine } from '../engine.ts'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'
import { commandAction, ContainerEvents, containerEvent } from './container-events.ts'
import { EngineEvents } from './event-log.ts'

const admin = { principal: { uid: 'admin' }, requestId: 'test' }

/** One that runs, before a face in memory. */
async function running(
  container: object = {},
  engine: Partial<Engine> = {},
): Promise<{
  readonly front: Front
  readonly container: Container
  readonly taskId: string
}> {
  const front = await new Front(engine).withSwarm()
  await front.app.ready()
  await turn()
  front.master.scene.addNode('agent-1')
  await new Services(front).create(sentSpec('app', {}, container))
  await front.master.scene.settle()
  const [task] = await front.master.workloads.tasks(admin, 'app')
  if (task === undefined) throw new Error('no task runs')
  front.master.tasks.add(task.taskId)
  return {
    front,
    container: containerOf(task, { id: task.workloadId }, 'test'),
    taskId: task.taskId,
  }
}

type Seen = readonly [string, Readonly<Record<string, string>>]

/** Actions of containers so far, each with its attributes that are no labels. */
async function actionsOf(front: Front): Promise<readonly Seen[]> {
  const second = Math.floor(Date.now() / 1000)
  const answer = await front.ask(
    'GET',
    `/events?since=1&until=${second}.999999999&filters={"type":["container"]}`,
  )
  return answer.body
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Seen => {
      const { Action, Actor } = JSON.parse(line) as {
        Action: string
        Actor: { Attributes: Record<string, string> }
      }
      const own = Object.entries(Actor.Attributes).filter(
        ([name]) => !name.startsWith('com.docker.') && name !== 'image' && name !== 'name',
      )
      return [Action, Object.fromEntries(own)]
    })
}

async function until(front: Front, action: string): Promise<readonly Seen[]> {
  for (;;) {
    const seen = await actionsOf(front)
    if (seen.some(([one]) => one === action)) return seen
    await turn()
  }
}

const log = async (events: EngineEvents): Promise<readonly string[]> => {
  const seen: string[] = []
  const all = events.read(new Map(), 0n, undefined, AbortSignal.abort())
  for await (const { action, attributes } of all) {
    const { signal } = attributes
    seen.push(signal === undefined ? action : `${action} ${signal}`)
  }
  return seen
}

describe('DK43: what clients do to a container', () => {
  test('is told with what they run, as by dockerd', async () => {
    const { front, container } = await running()
    const wanted = { Cmd: ['sh', '-c', 'ls /'], AttachStdout: true }
    const created = await front.ask('POST', `/containers/${container.id}/exec`, wanted)
    const { Id } = created.json<{ Id: string }>()
    await front.ask('POST', `/exec/${Id}/start`, { Detach: true })
    front.master.tasks.sessions.at(-1)?.end(3)

    const seen = await until(front, 'exec_die')
    expect(seen.slice(-3)).toEqual([
      ['exec_create: sh -c ls /', { execID: Id }],
      ['exec_start: sh -c ls /', { execID: Id }],
      ['exec_die', { execID: Id, exitCode: '3' }],
    ])
    await front.app.close()
  })

  test('is told to who did it, and to whose socket it is: its command may hold what nobody else should read', async () => {
    let uid = 'admin'
    const { front, container } = await running({}, { principalOf: () => ({ uid }) })
    const value = canary('typed')
    const wanted = { Cmd: ['login', value.text], Env: [`TOKEN=${value.text}`] }
    const heardBy = async (reader: string): Promise<string> => {
      uid = reader
      return JSON.stringify(await actionsOf(front))
    }
    front.master.identity.allow('developer', 'full', 'dcos:adminrouter:ops:mesos')
    uid = 'developer'
    await front.ask('POST', `/containers/${container.id}/exec`, wanted)

    expect(await heardBy('developer')).toContain(`exec_create: login ${value.text}`)
    expect(await heardBy('admin')).toContain(`exec_create: login ${value.text}`)
    const heard = await heardBy('somebody')
    expect(heard).toContain('start')
    expect(heard).not.toContain('exec_create')
    expect(await heardBy('admin')).not.toContain('TOKEN')
    expect(front.log.text).not.toContain(value.text)
    await front.app.close()
  })

  test('is told of its processes and of its terminal', async () => {
    const { front, container } = await running({ TTY: true })
    const top = front.ask('GET', `/containers/${container.id}/top`)
    while (front.master.tasks.sessions.length === 0) await turn()
    front.master.tasks.sessions[0]?.print('7\nPID CMD\n1 sh\n7 ps\n')
    front.master.tasks.sessions[0]?.end(0)
    await top
    await front.ask('POST', `/containers/${container.id}/resize?h=40&w=100`)

    expect((await actionsOf(front)).slice(-2)).toEqual([
      ['top', {}],
      ['resize', { height: '40', width: '100' }],
    ])
    await front.app.close()
  })

  test('has the form of the Engine, and a length that somebody can read', () => {
    expect(commandAction('exec_create', ['ls'])).toBe('exec_create: ls ')
    expect(commandAction('exec_start', ['x'.repeat(1_000_000)]).length).toBe(4096)
  })
})

describe('DK43: the end of a container', () => {
  test('that a client stopped is a kill, a die and a stop', async () => {
    const { front, container, taskId } = await running({ StopSignal: 'SIGINT' })
    const stopped = front.ask('POST', `/containers/${container.id}/stop`)
    while (front.master.tasks.signals.length === 0) await turn()
    front.master.scene.end(taskId, 'TASK_FAILED', 'Command exited with status 3')
    await front.master.scene.settle()
    expect((await stopped).statusCode).toBe(204)

    const seen = (await until(front, 'stop')).map(([action, { signal }]) => [action, signal])
    expect(seen.slice(2, 5)).toEqual([
      ['kill', '2'],
      ['die', undefined],
      ['stop', undefined],
    ])
    await front.app.close()
  })

  test('that the swarm wanted is one, too; once nobody remembers it, it is destroyed', async () => {
    const { front, container } = await running()
    const removed = await front.ask('DELETE', '/services/app')
    expect(removed.statusCode).toBe(200)
    for (let round = 0; round < 3; round++) {
      await front.master.scene.settle()
      await turn()
    }

    const seen = (await until(front, 'destroy')).map(([action]) => action)
    expect(seen).toEqual(['create', 'start', 'kill', 'die', 'stop', 'destroy'])
    expect(container.name).toMatch(/^app\.1\./)
    await front.app.close()
  })

  test('is told behind the signal that caused it, however early it is known', async () => {
    const { container, front } = await running()
    const events = new EngineEvents()
    const told = new ContainerEvents(events)
    const sent = Promise.withResolvers<void>()
    const killing = told.killing(container, 9, () => sent.promise)
    told.happened(containerEvent(container, 'die'))
    expect(await log(events)).toEqual([])
    sent.resolve()
    await killing

    expect(await log(events)).toEqual(['kill 9', 'die'])
    await front.app.close()
  })

  test('is told all the same where no signal could be sent, and then without one', async () => {
    const { container, front } = await running()
    const events = new EngineEvents()
    const told = new ContainerEvents(events)
    const killing = told.killing(container, 9, async () => {
      throw new Error('nobody answers')
    })
    told.happened(containerEvent(container, 'die'))
    await expect(killing).rejects.toThrow('nobody answers')

    expect(await log(events)).toEqual(['die'])
    await front.app.close()
  })

  test('is before the stop that a client is told of first, unless it was missed', async () => {
    const { container, front } = await running()
    const events = new EngineEvents()
    const told = new ContainerEvents(events)
    told.stopped(container)
    told.happened(containerEvent(container, 'die'))
    told.stopped({ ...container, id: 'another' })
    expect(await log(events)).toEqual(['die', 'stop'])
    told.beginAnew()

    expect(await log(events)).toEqual(['die', 'stop', 'stop'])
    await front.app.close()
  })
})

test('DK43: a container that is checked says how it is, when that turns', async () => {
  const { front, container } = await running({ Healthcheck: { Test: ['CMD', 'true'] } })
  const { id, workloadId, slot } = container.task
  for (const healthy of [false, false, true]) {
    front.master.scene.putTask(workloadId, { ...container.task, id, slot, healthy })
    front.master.scene.tick()
    await turn()
  }

  const seen = (await until(front, 'health_status: healthy')).map(([action]) => action)
  expect(seen.filter((action) => action.startsWith('health'))).toEqual([
    'health_status: unhealthy',
    'health_status: healthy',
  ])
  await front.app.close()
})
