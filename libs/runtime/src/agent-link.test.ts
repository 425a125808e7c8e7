import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'

import type { Address } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { eventually } from '@conclave/testkit'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

import {
  AgentLinkClient,
  AgentLinkServer,
  type AgentConnection,
  type AgentLinkClientOptions,
  type AgentLinkServerOptions,
} from './agent-link.ts'
import { createAuthority, type Authority } from './authority/authority.ts'
import type { TlsIdentity } from './authority/identity.ts'
import { tlsOptions } from './link-tls.ts'
import { Slices } from './slices.ts'
import { clusterId, expiredIdentityOf, identityOf } from './testing/certificates.ts'

const host = '127.0.0.1'
const quick = { pingMs: 20, silenceMs: 2000, retryFirstMs: 2, retryMaxMs: 20 }

const Message = z.looseObject({ type: z.string(), note: z.string().optional() })
type Message = z.infer<typeof Message>
const parse = (value: unknown): Message => Message.parse(value)

let authority: Authority
let masterIdentity: TlsIdentity
let agentIdentity: TlsIdentity
const cleanUp: (() => void)[] = []

beforeAll(async () => {
  authority = await createAuthority({ clusterId })
  masterIdentity = await identityOf(authority, 'master-1')
  agentIdentity = await identityOf(authority, 'agent-1', 'conclave-agent')
})

afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

interface Master {
  readonly server: AgentLinkServer<Message, Message>
  readonly address: Address
  readonly connections: AgentConnection<Message, Message>[]
  readonly received: Message[]
  readonly closed: string[]
}

async function startMaster(
  answer: (message: Message, connection: AgentConnection<Message, Message>) => void = () =>
    undefined,
  options: Partial<AgentLinkServerOptions<Message, Message>> = {},
): Promise<Master> {
  const connections: Master['connections'] = []
  const received: Message[] = []
  const closed: string[] = []
  const server = new AgentLinkServer<Message, Message>({
    clusterId,
    identity: masterIdentity,
    listen: { host, port: 0 },
    parse,
    limits: quick,
    onConnection: (connection) => {
      connections.push(connection)
      connection.onMessage((message) => {
        received.push(message)
        answer(message, connection)
      })
      connection.onClose((why) => closed.push(why))
    },
    ...options,
  })
  cleanUp.push(() => server.destroy())
  const { port } = await server.start()
  return { server, address: { host, port }, connections, received, closed }
}

interface Agent {
  readonly client: AgentLinkClient<Message, Message>
  readonly received: Message[]
  readonly happened: string[]
}

function startAgent(
  masters: readonly Address[],
  options: Partial<AgentLinkClientOptions<Message>> = {},
): Agent {
  const received: Message[] = []
  const happened: string[] = []
  const client = new AgentLinkClient<Message, Message>({
    clusterId,
    identity: agentIdentity,
    masters,
    parse,
    limits: quick,
    onConnected: (name) => {
      happened.push(`connected to ${name}`)
      client.send({ type: 'register' })
    },
    onDisconnected: (why) => happened.push(`disconnected: ${why}`),
    onMessage: (message) => received.push(message),
    ...options,
  })
  cleanUp.push(() => client.destroy())
  client.start()
  return { client, received, happened }
}

describe('an agent and its master', () => {
  test('RT8: exchange messages in order, under the name in the certificate', async () => {
    const master = await startMaster((message, connection) => {
      if (message.type !== 'register') return
      for (let count = 0; count < 500; count++) connection.send({ type: 'run', note: `${count}` })
    })
    const agent = startAgent([master.address])

    await eventually(() => agent.received.length === 500)

    expect(agent.received.map(({ note }) => Number(note))).toEqual(
      Array.from({ length: 500 }, (_, count) => count),
    )
    expect(master.connections.map(({ agentName }) => agentName)).toEqual(['agent-1'])
    expect(agent.happened).toEqual(['connected to master-1'])
  })

  test('RT18: a master hears in slices what came at once, all of it and in order', async () => {
    let nowMs = 0
    const slices = new Slices({ nowMs: () => (nowMs += 3) })
    const master = await startMaster(undefined, { slices })
    const agent = startAgent([master.address])
    await eventually(() => master.received.length === 1)

    for (let count = 0; count < 3000; count++) agent.client.send({ type: 'run', note: `${count}` })
    await eventually(() => master.received.length === 3001)

    expect(master.received.slice(1).map(({ note }) => Number(note))).toEqual(
      Array.from({ length: 3000 }, (_, count) => count),
    )
  })

  test('RT8: carry text of every kind, and megabytes of it', async () => {
    const note = '\u0000\n"\\ü\u2028𝄞'.repeat(200_000)
    const master = await startMaster((_, connection) => connection.send({ type: 'run', note }))
    const agent = startAgent([master.address])

    await eventually(() => agent.received.length === 1)

    expect(agent.received[0]!.note === note).toBe(true)
  })

  test('RT8: a message sent while nobody is connected is refused to its sender', async () => {
    const agent = startAgent([])

    expect(agent.client.send({ type: 'status' })).toBe(false)
  })

  test('RT8: the connection outlives silence, because both sides show that they live', async () => {
    const limits = { ...quick, silenceMs: 1000 }
    const master = await startMaster(undefined, { limits })
    const agent = startAgent([master.address], { limits })
    await eventually(() => agent.client.isConnected)

    await sleep(1300)

    expect(agent.happened).toEqual(['connected to master-1'])
    expect(master.closed).toEqual([])
  })
})

describe('an agent that looks for the leader', () => {
  test('RT8: follows whoever it is sent to, also to an address it was not given', async () => {
    const leader = await startMaster((_, connection) => connection.send({ type: 'registered' }), {
      identity: await identityOf(authority, 'master-2'),
    })
    const follower = await startMaster((_, connection) =>
      connection.send({ type: 'not-leader', leader: leader.address }),
    )
    const agent = startAgent([follower.address])

    await eventually(() => agent.received.length === 1)

    expect(agent.received).toEqual([{ type: 'registered' }])
    expect(agent.happened).toEqual([
      'connected to master-1',
      'disconnected: it is not the leader',
      'connected to master-2',
    ])
  })

  test('RT8: asks the next master while nobody knows a leader, or a master is gone', async () => {
    let isElected = false
    const dead = await startMaster()
    dead.server.destroy()
    const candidate = await startMaster((_, connection) =>
      connection.send({ type: isElected ? 'registered' : 'not-leader' }),
    )
    const agent = startAgent([dead.address, candidate.address])
    await eventually(() => candidate.connections.length >= 3)

    isElected = true

    await eventually(() => agent.received.length === 1)
    expect(agent.received).toEqual([{ type: 'registered' }])
  })

  test('RT8: is not kept running in circles by masters that name each other', async () => {
    const addresses: Address[] = []
    const answer =
      (other: number) =>
      (_: Message, connection: AgentConnection<Message, Message>): void =>
        connection.send({ type: 'not-leader', leader: addresses[other] })
    const first = await startMaster(answer(1))
    const second = await startMaster(answer(0))
    addresses.push(first.address, second.address)
    const third = await startMaster((_, connection) => connection.send({ type: 'registered' }))

    const agent = startAgent([first.address, third.address])

    await eventually(() => agent.received.length === 1)
    expect(first.connections.length + second.connections.length).toBeLessThanOrEqual(4)
  })

  test('RT8: connects again when its master dies or hangs up', async () => {
    const first = await startMaster()
    const second = await startMaster(undefined, {
      identity: await identityOf(authority, 'master-2'),
    })
    const agent = startAgent([first.address, second.address])
    await eventually(() => first.received.length === 1)

    first.server.destroy()
    await eventually(() => second.received.length === 1)
    second.connections[0]!.close()
    await eventually(() => second.received.length === 2)

    expect(agent.happened.filter((what) => what.startsWith('connected'))).toEqual([
      'connected to master-1',
      'connected to master-2',
      'connected to master-2',
    ])
  })

  test('RT8: speaks to nobody without a certificate of a master of this cluster', async () => {
    const impostors = await Promise.all(
      [
        await identityOf(authority, 'agent-2', 'conclave-agent'),
        await identityOf(await createAuthority({ clusterId }), 'master-1'),
        await identityOf({ ...authority, clusterId: 'another' }, 'master-1'),
        await expiredIdentityOf(authority, 'master-1'),
      ].map((identity) => startMaster(undefined, { identity })),
    )
    const real = await startMaster()
    const agent = startAgent([...impostors.map(({ address }) => address), real.address])

    await eventually(() => real.received.length === 1)

    expect(agent.happened).toEqual(['connected to master-1'])
    expect(impostors.flatMap(({ received }) => received)).toEqual([])
  })
})

describe('the agent port', () => {
  test('RT5: turns away masters, schedulers, expired agents and strangers', async () => {
    const master = await startMaster()
    const strangers = [
      masterIdentity,
      await identityOf(authority, 'scheduler', 'conclave-scheduler'),
      await expiredIdentityOf(authority, 'agent-1', 'conclave-agent'),
      await identityOf(await createAuthority({ clusterId }), 'agent-1', 'conclave-agent'),
      await identityOf({ ...authority, clusterId: 'other' }, 'agent-1', 'conclave-agent'),
    ]

    for (const identity of strangers) {
      const agent = startAgent([master.address], { identity })
      const before = master.server.refusals
      await eventually(() => master.server.refusals > before)
      agent.client.destroy()
    }

    expect(master.connections).toEqual([])
  })

  test.each([
    ['text that is no JSON', utf8('{"type"')],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe)],
    ['JSON without a type', utf8('{}')],
    ['null', utf8('null')],
    ['a field of another kind', utf8('{"type":"status","note":{"canary":"s3cr3t-canary"}}')],
    ['JSON nested too deep', utf8(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['a __proto__ field', utf8('{"type":"status","__proto__":{"isSuperuser":true}}')],
    ['an escaped __proto__ field', utf8('{"type":"status","a":[{"\\u005f_proto__":{}}]}')],
    ['an announced size beyond all limits', undefined],
  ])('RT9: hangs up on %s, and tells nothing of it', async (_, body) => {
    const master = await startMaster()
    const socket = connect({ host, port: master.address.port, ...tlsOptions(agentIdentity) })
    cleanUp.push(() => socket.destroy())
    socket.on('error', () => socket.destroy())
    const header = Buffer.alloc(4)
    header.writeUInt32BE(body?.length ?? 0xffff_fff0)

    socket.write(Buffer.concat([header, body ?? Buffer.alloc(0)]))
    await eventually(() => master.closed.length === 1)

    expect(master.received).toEqual([])
    expect(master.closed[0]).toMatch(/^(json|message|frame)\.(refused|too-large): /)
    expect(master.closed[0]).not.toContain('canary')
    expect(({} as { isSuperuser?: boolean }).isSuperuser).toBeUndefined()
  })

  test('RT8 threat:RF-08: has one connection for each agent, the newest', async () => {
    const master = await startMaster()
    const sockets = Array.from({ length: 20 }, () => {
      const socket = connect({ host, port: master.address.port, ...tlsOptions(agentIdentity) })
      cleanUp.push(() => socket.destroy())
      socket.on('error', () => socket.destroy())
      socket.resume()
      return socket
    })
    const identity = await identityOf(authority, 'agent-2', 'conclave-agent')
    const other = startAgent([master.address], { identity })

    await eventually(() => master.connections.length === 21 && master.closed.length === 19)
    await eventually(() => sockets.filter(({ destroyed }) => !destroyed).length === 1)

    expect(new Set(master.closed)).toEqual(new Set(['the agent has connected anew']))
    expect(other.client.isConnected).toBe(true)
  })

  test('RT8 threat:RF-08: hears no more of an agent than it wants to, and does not take it for dead', async () => {
    const limits = { ...quick, silenceMs: 100 }
    const master = await startMaster(undefined, { limits })
    const agent = startAgent([master.address])
    await eventually(() => master.received.length === 1)
    const [connection] = master.connections
    connection?.pause()

    const note = 'x'.repeat(64 * 1024)
    for (let count = 0; count < 100; count++) agent.client.send({ type: 'status', note })
    await sleep(300)

    expect(master.received.length).toBeLessThan(50)
    expect(agent.client.waitingBytes).toBeGreaterThan(0)
    expect(master.closed).toEqual([])
    connection?.resume()
    await eventually(() => master.received.length === 101)
  })

  test('RT8: gives up an agent that never reads', async () => {
    const master = await startMaster(undefined, {
      limits: { ...quick, silenceMs: 60_000, queueBytesMax: 4 * 1024 * 1024 },
    })
    const socket = connect({ host, port: master.address.port, ...tlsOptions(agentIdentity) })
    cleanUp.push(() => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('secureConnect', () => socket.pause())
    await eventually(() => master.connections.length === 1)
    const connection = master.connections[0]!
    const note = 'x'.repeat(1024 * 1024)

    while (master.closed.length === 0) {
      connection.send({ type: 'run', note })
      await sleep(0)
    }

    expect(master.closed).toEqual(['the other side reads too slowly'])
  })

  test('RT8: close tells the agents what was sent before it', async () => {
    const master = await startMaster()
    const agent = startAgent([master.address])
    await eventually(() => master.connections.length === 1 && agent.client.isConnected)

    for (let count = 0; count < 100; count++) {
      master.connections[0]!.send({ type: 'kill', note: `${count}` })
    }
    await master.server.close()

    await eventually(() => agent.received.length === 100)
    expect(agent.received.at(-1)).toEqual({ type: 'kill', note: '99' })
  })

  test('RT8: a closed agent stays away', async () => {
    const master = await startMaster()
    const agent = startAgent([master.address])
    await eventually(() => master.received.length === 1)

    agent.client.send({ type: 'status', note: 'last words' })
    await agent.client.close()
    await eventually(() => master.closed.length === 1)

    expect(master.received.at(-1)).toEqual({ type: 'status', note: 'last words' })
    expect(agent.happened).toEqual(['connected to master-1'])
  })
})
