import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NotLeader } from '@conclave/actors'
import { fastify, type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { containerIdOf } from '../container-id.ts'
import { dockerFace, dockerServerOptions } from '../face.ts'
import { EngineClient } from '../testing/engine-client.ts'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front
let app: FastifyInstance
let directory: string

const admin = { principal: { uid: 'admin' }, requestId: 'test' }

/** The container of a service whose program reads, or not. */
async function running(container: object): Promise<{ id: string; taskId: string }> {
  await new Services(front).create(sentSpec('shell', {}, container))
  await front.master.scene.settle()
  const [task] = await front.master.workloads.tasks(admin, 'shell')
  if (task === undefined) throw new Error('no task runs')
  front.master.tasks.add(task.taskId)
  return { id: containerIdOf(task), taskId: task.taskId }
}

const attach = (id: string, query: string): EngineClient =>
  new EngineClient(join(directory, 'docker.sock')).upgrade(
    `/v1.47/containers/${id}/attach?stream=1&stdout=1&stderr=1${query}`,
    undefined,
  )

/** At the socket's own face: an exec is known where it was made. */
const ask = (method: 'GET' | 'POST', url: string, body?: object) =>
  app.inject({ method, url, ...(body && { payload: body }) })

async function openedSession() {
  await until(() => front.master.tasks.sessions.length > 0)
  const found = front.master.tasks.sessions.at(-1)
  if (found === undefined) throw new Error('no session was opened')
  return found
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  directory = mkdtempSync(join(tmpdir(), 'docker-face-'))
  app = fastify(dockerServerOptions)
  await app.register(dockerFace(front.engine))
  await app.listen({ path: join(directory, 'docker.sock') })
})
afterEach(async () => {
  app.server.closeAllConnections()
  await app.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('DK45: an attached client', () => {
  test('types to a program that reads, which goes on when the client leaves by its keys', async () => {
    const { id } = await running({ TTY: true, OpenStdin: true })
    const client = attach(id, '&stdin=1&detachKeys=ctrl-a,d')
    await client.until('101 UPGRADED')
    client.send('ls\r')
    const session = await openedSession()
    await until(() => session.input.length > 0)
    session.print('file\r\n')
    await client.until('file')
    client.send('\x01dnever')

    const { head, body } = await client.rest()
    expect(head).toContain('Content-Type: application/vnd.docker.raw-stream')
    expect(body.toString()).toBe('file\r\n')
    expect(session.input).toEqual(['ls\r'])
    expect(session.isClosed).toBe(true)
    expect(front.master.tasks.logsWanted).toEqual([{ follow: true, tail: 0, isAttached: true }])
  })

  test('leaves with the end of its input, and ends no input but its own', async () => {
    const { id } = await running({ OpenStdin: true })
    const client = attach(id, '&stdin=1')
    await client.until('101 UPGRADED')
    client.send('\x10\x11').halfClose()
    await client.rest()
    const session = await openedSession()
    await until(() => session.isClosed)
    // Without a terminal keys are bytes.
    expect(session.input).toEqual(['\x10\x11'])
  })

  test('types to nobody where the service says so, and hears the program all the same', async () => {
    const { id } = await running({ TTY: true })
    const client = attach(id, '&stdin=0').halfClose()
    await client.until('101 UPGRADED')
    const session = await openedSession()
    session.print('hello\r\n')
    session.end(0)
    expect((await client.rest()).body.toString()).toBe('hello\r\n')
    expect(front.master.tasks.logsWanted).toEqual([{ follow: true, tail: 0 }])
  })

  test('types to nobody where the program reads nothing, and hears it to its end', async () => {
    const { id } = await running({ TTY: true })
    const client = attach(id, '&stdin=1')
    await client.until('101 UPGRADED')
    const session = await openedSession()
    session.isFull = new Promise(() => undefined)
    client
      .send('typed')
      .send(new Uint8Array(1024 * 1024))
      .halfClose()
    session.print('$ ')
    await client.until('$ ')
    session.end(0)
    expect((await client.rest()).body.toString()).toBe('$ ')
    expect(session.input).toEqual([])
  })

  test.each([
    ['GET', 'logs?follow=1&stdout=1'],
    ['POST', 'attach?stream=1&stdout=1'],
  ])('leaves no session behind that vanished before it was opened: %s %s', async (method, what) => {
    const { id } = await running({})
    const asked = Promise.withResolvers<void>()
    const vanished = Promise.withResolvers<void>()
    const { tasks } = front.master
    const logs = tasks.logs.bind(tasks)
    tasks.logs = async (...wanted) => {
      asked.resolve()
      await vanished.promise
      return logs(...wanted)
    }
    app.server.on('connection', (socket: Socket) => socket.once('close', vanished.resolve))
    const client = new EngineClient(join(directory, 'docker.sock'))
    client.send(`${method} /v1.47/containers/${id}/${what} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await asked.promise
    client.vanish()
    const session = await openedSession()
    await until(() => session.isClosed)
    expect(session.isClosed).toBe(true)
  })

  test('reads what a program said that has ended, and cannot listen to it', async () => {
    const { id, taskId } = await running({})
    front.master.scene.end(taskId, 'TASK_FAILED')
    await front.master.scene.settle()
    const listening = await ask('POST', `/containers/${id}/attach?stream=1&stdout=1`)
    expect([listening.statusCode, listening.json()]).toEqual([
      409,
      { message: `container ${id} is not running` },
    ])
    const client = new EngineClient(join(directory, 'docker.sock'))
    client.upgrade(`/v1.47/containers/${id}/attach?logs=1&stdout=1`, undefined)
    await client.until('101 UPGRADED')
    const session = await openedSession()
    session.print('its last words\n')
    session.end(undefined)
    expect((await client.rest()).body.subarray(8).toString()).toBe('its last words\n')
    expect(front.master.tasks.logsWanted.at(-1)).toMatchObject({ follow: false })
  })

  test('types to it over a connection that was never upgraded, too', async () => {
    const { id } = await running({ OpenStdin: true })
    const client = new EngineClient(join(directory, 'docker.sock'))
    const query = 'stream=1&stdin=1&stdout=1&stderr=1'
    client.send(`POST /v1.47/containers/${id}/attach?${query} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.until('\r\n\r\n')
    const session = await openedSession()
    client.send('typed, ').send('GET / HTTP/1.1\r\n\r\n')
    await until(() => session.input.join('').endsWith('\r\n\r\n'))
    session.print('heard\n')
    await client.until('heard')
    client.halfClose()
    const { head } = await client.rest()
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(head).toContain('Content-Type: application/vnd.docker.raw-stream')
    expect(session.input.join('')).toBe('typed, GET / HTTP/1.1\r\n\r\n')
    expect(session.isClosed).toBe(true)
  })

  test('hears who leads where that one cannot be asked, as over a Redis', async () => {
    const { id } = await running({})
    front.master.tasks.logs = async () => {
      throw new NotLeader('master-2')
    }
    const { head, body } = await attach(id, '').rest()
    expect(head).toMatch(/^HTTP\/1\.1 400 /)
    expect(JSON.parse(body.toString())).toEqual({
      message:
        'rpc error: code = FailedPrecondition desc = this manager does not lead, and cannot ask master-2, which does: use the socket of that one',
    })
  })

  test('is refused keys that there are not', async () => {
    const { id } = await running({ TTY: true, OpenStdin: true })
    const { head, body } = await attach(id, '&stdin=1&detachKeys=nope').rest()
    expect(head).toMatch(/^HTTP\/1\.1 400 /)
    expect(JSON.parse(body.toString())).toEqual({ message: 'Invalid detach keys (nope) provided' })
    const wanted = { Cmd: ['sh'], DetachKeys: 'nope' }
    const exec = await front.ask('POST', `/containers/${id}/exec`, wanted)
    expect([exec.statusCode, exec.json()]).toEqual([
      400,
      { message: 'Invalid escape keys (nope) provided' },
    ])
  })

  test('leaves an exec by its keys, too, and that goes on', async () => {
    const { id } = await running({})
    const wanted = { Cmd: ['sh'], Tty: true, AttachStdin: true, AttachStdout: true }
    const created = await ask('POST', `/containers/${id}/exec`, wanted)
    const { Id } = created.json<{ Id: string }>()
    const client = new EngineClient(join(directory, 'docker.sock')).upgrade(`/exec/${Id}/start`, {
      Detach: false,
      Tty: true,
    })
    await client.until('101 UPGRADED')
    client.send('a\x10').send('\x11')
    await client.rest()
    const session = await openedSession()
    expect(session.input.join('')).toBe('a')
    expect(session.isClosed).toBe(false)
    expect((await ask('GET', `/exec/${Id}/json`)).json()).toMatchObject({ Running: true })
  })

  test('says how large its terminal is', async () => {
    const { id, taskId } = await running({ TTY: true, OpenStdin: true })
    const resized = await front.ask('POST', `/containers/${id}/resize?h=40&w=100`)
    expect([resized.statusCode, resized.body]).toEqual([200, ''])
    expect(front.master.tasks.resizes).toEqual([`40x100 to ${taskId}`])
    const refused = await front.ask('POST', `/containers/${id}/resize?h=x&w=1`)
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      { message: 'strconv.Atoi: parsing "x": invalid syntax' },
    ])
  })
})
