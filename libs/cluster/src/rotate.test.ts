import { ContainerInfo, parseOurs, type ToAgent } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { grantsIn } from './records.ts'
import { command, DrivenCluster, type Link } from './testing/driven-cluster.ts'

const volume = (at: string, name: string): object => ({
  mode: 'RO',
  container_path: at,
  source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name } } },
  file: { mode: 0o444, uid: 0, gid: 0 },
})
const container = (...volumes: readonly object[]): ContainerInfo =>
  parseOurs(ContainerInfo, { type: 'MESOS', volumes })

const task = { frameworkId: 'M-0000', taskId: 't' }

/** A task that runs with one file, of version 1 of its secret. */
function running() {
  const cluster = new DrivenCluster()
  cluster.versions.set('db', 1)
  const framework = cluster.framework()
  const { link, agentId } = cluster.agent('agent-1')
  cluster.launch(framework, command('t', { container: container(volume('/pw', 'db')) }))
  cluster.report(link, task, 'TASK_RUNNING')
  const rotate = (wanted = container(volume('/pw', 'db'))): void => {
    cluster.core.rotate(task.frameworkId, task.taskId, wanted)
    cluster.drain()
  }
  const answer = (rotation: number, failure?: string): void =>
    cluster.tell(link, {
      type: 'files-rotated',
      ...task,
      rotation,
      ...(failure === undefined ? {} : { failure }),
    })
  const state = () => cluster.core.taskOf(task.frameworkId, task.taskId)?.rotation
  const granted = (): readonly (readonly [string, number | null])[] => {
    const reader = {
      get: () => undefined,
      list: (prefix: string) =>
        cluster
          .keys(prefix)
          .map((key) => ({ key, value: cluster.records.get(key) ?? new Uint8Array() })),
    }
    return grantsIn(reader, task.frameworkId, task.taskId).map(({ path, version }) => [
      path,
      version,
    ])
  }
  return { cluster, link, agentId, rotate, answer, state, granted }
}

const asked = ({ messages }: Link): readonly Extract<ToAgent, { type: 'rotate-files' }>[] =>
  messages.filter((message) => message.type === 'rotate-files')

describe('CL40: the files of a running task', () => {
  test('are left alone while they are what they shall be', () => {
    const { link, rotate, state } = running()
    rotate()
    expect([asked(link), state()]).toEqual([[], undefined])
  })

  test('get a new version of their secret: on record first, then the agent is told', () => {
    const { cluster, link, rotate, answer, state, granted } = running()
    cluster.versions.set('db', 2)
    rotate()
    expect(granted()).toEqual([['db', 2]])
    expect(asked(link)).toMatchObject([{ taskId: 't', rotation: 1 }])
    const kinds = cluster.effects.map(({ do: kind }) => kind)
    expect(kinds.lastIndexOf('commit')).toBeLessThan(kinds.lastIndexOf('send-agent'))

    // One at a time: what changes meanwhile is looked at when it has answered.
    cluster.versions.set('db', 3)
    rotate()
    expect(asked(link)).toHaveLength(1)
    answer(7)
    expect(state()).toEqual({ id: 1, state: 'asked' })
    answer(1)
    expect(state()).toEqual({ id: 1, state: 'done' })
    rotate()
    expect(asked(link).map(({ rotation }) => rotation)).toEqual([1, 2])
    expect(granted()).toEqual([['db', 3]])
  })

  test('get another secret, and the one before may not be read any more', () => {
    const { cluster, link, rotate, granted } = running()
    cluster.versions.set('db2', 5)
    const wanted = container(volume('/pw', 'db2'))
    rotate(wanted)
    expect(granted()).toEqual([['db2', 5]])
    expect(asked(link)[0]?.container.volumes).toEqual(wanted.volumes)
    expect(cluster.events.filter(({ type }) => type.startsWith('grant.'))).toMatchObject([
      { type: 'grant.issued', path: 'db' },
      { type: 'grant.revoked', path: 'db' },
      { type: 'grant.issued', path: 'db2' },
    ])
  })

  test('are asked for again when the agent comes back, under the next leader too', () => {
    const { cluster, agentId, rotate, state } = running()
    cluster.versions.set('db', 2)
    rotate()
    cluster.restart()
    const link = cluster.link('agent-1')
    const containerId = cluster.core.taskOf(task.frameworkId, task.taskId)?.containerId ?? ''
    cluster.register(link, { agentId, tasks: [{ ...task, containerId }] })
    expect(asked(link)).toMatchObject([{ rotation: 1, containerId }])
    cluster.tell(link, { type: 'files-rotated', ...task, rotation: 1 })
    expect(state()).toEqual({ id: 1, state: 'done' })
  })

  test('that could not be changed are not tried again, nor those of a task that ends', () => {
    const { cluster, link, rotate, answer, state } = running()
    cluster.versions.set('db', 2)
    rotate()
    answer(1, 'no room')
    expect(state()).toEqual({ id: 1, state: 'failed' })
    cluster.versions.set('db', 3)
    rotate()
    expect(asked(link)).toHaveLength(1)

    const other = running()
    other.cluster.core.kill(task.frameworkId, task.taskId)
    other.cluster.versions.set('db', 2)
    other.rotate()
    expect(asked(other.link)).toEqual([])
  })

  test('are not given what the task may not have, and keep what is removed', () => {
    const { cluster, link, rotate, state } = running()
    cluster.versions.set('other', 1)
    cluster.forbidden.add('other')
    rotate(container(volume('/pw', 'other')))
    expect([asked(link), state()]).toEqual([[], { id: 1, state: 'failed' }])

    const gone = running()
    gone.cluster.versions.delete('db')
    gone.rotate()
    expect([asked(gone.link), gone.state()]).toEqual([[], undefined])
  })
})
