import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import {
  decodePeerMessage,
  encodePeerMessage,
  Replica,
  restoreStore,
  type Journal,
  type PeerMessage,
  type ReplicaLimits,
} from '@conclave/actors'
import { ReplicaDriver } from '@conclave/assembly/replica-driver'
import { openJournal } from '@conclave/journal'
import { uuid, wipe } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import {
  FrameReader,
  FrameWriter,
  loadTlsIdentity,
  SystemClock,
  SystemRandom,
  TcpPeerLink,
  Ticker,
  type PeerAddress,
} from '@conclave/runtime'
import { StoreMachine } from '@conclave/store'
import { decodeRequest, encodeAnswer, noBytes, type StoreRequest } from './store-frames.ts'
import { WatchedDisk } from './watched-disk.ts'

/** Where a member keeps its files and what it is; plain data, so that it can be handed to a process. */
export interface StorePlan {
  readonly clusterId: string
  readonly nodeId: NodeId
  /** Holds `ca.pem`, `identity.pem` and `journal.key`; the journal is made below it. */
  readonly directory: string
  /** Of all members, this one too, by node id. */
  readonly peers: readonly (readonly [NodeId, PeerAddress])[]
  readonly tickMs: number
  /** Added to each sync of the journal. */
  readonly fsyncDelayMs: number
  readonly limits?: Partial<ReplicaLimits>
}

const requestBytesMax = 2 * 1024 * 1024
/** As a master does: history is kept this long, and twice as long before it is compacted. */
const revisionsKept = 10_000
const firstElectionTicks = 3

/**
 * What a master is below its faces: replica, sealed journal on disk, mutual TLS to the others and the
 * store; and instead of faces a port that takes puts and gets. Every answer keeps the store's promises.
 */
export class StoreMember {
  readonly store: StoreMachine
  readonly replica: Replica
  readonly recoveredEntries: number
  readonly disk: WatchedDisk
  readonly #journal: Journal
  readonly #driver: ReplicaDriver
  readonly #link: TcpPeerLink
  readonly #ticker: Ticker
  readonly #server: Server
  readonly #clients = new Set<Socket>()
  #isCompacting = false

  private constructor(plan: StorePlan, opened: Awaited<ReturnType<typeof open>>) {
    const { journal, recovered, store, identity, random, disk } = opened
    const peers = new Map(plan.peers)
    const name = peers.get(plan.nodeId)?.id ?? ''
    this.store = store
    this.disk = disk
    this.#journal = journal
    const send = (to: NodeId, message: PeerMessage): void => {
      const isChunk = message.type === 'SnapshotChunk'
      this.#link.send(to, encodePeerMessage(message), isChunk ? () => undefined : undefined)
    }
    this.recoveredEntries = recovered.entries.length
    this.replica = new Replica({
      nodeId: plan.nodeId,
      masterId: name,
      bootstrap: { voters: [...peers.keys()] },
      recovered,
      store,
      snapshots: journal,
      random,
      clock: new SystemClock(),
      boot: `${name}:${uuid(random).slice(0, 8)}`,
      emit: () => undefined,
      wake: () => this.#driver.wake(),
      post: (message) => send(message.to, message),
      onFatal: fail,
      limits: { firstElectionTicks, ...plan.limits },
    })
    this.#driver = new ReplicaDriver({
      replica: this.replica,
      journal,
      send,
      onSent: () => this.#link.flush(),
      onFatal: fail,
    })
    this.#link = new TcpPeerLink({
      clusterId: plan.clusterId,
      nodeId: plan.nodeId,
      identity,
      listen: { host: '127.0.0.1', port: peers.get(plan.nodeId)?.port ?? 0 },
      peers,
      onMessage: (from, bytes) => {
        const message = decodePeerMessage(bytes)
        if (message.from === from) this.replica.receive(message)
      },
      onUnreachable: (nodeId) => this.replica.unreachable(nodeId),
      onLost: (nodeId) => this.replica.linkLost(nodeId),
    })
    this.#ticker = new Ticker(plan.tickMs, () => {
      this.replica.tick()
      this.#compactIfDue()
    })
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
  }

  static async start(plan: StorePlan): Promise<StoreMember> {
    const member = new StoreMember(plan, await open(plan))
    await member.#link.start()
    await new Promise<void>((resolve) => {
      member.#server.listen(0, '127.0.0.1', resolve)
    })
    member.#ticker.start()
    member.#driver.wake()
    return member
  }

  /** Where it takes puts and gets. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#ticker.stop()
    this.#server.close()
    for (const client of this.#clients) client.destroy()
    this.#link.destroy()
    this.replica.close()
    await this.#driver.stop()
    await this.#journal.close()
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.replica.propose({ compare: [], success: [{ do: 'put', key, value }] })
  }

  async get(key: string): Promise<Uint8Array> {
    await this.replica.linearize()
    return this.store.get(key)?.value ?? noBytes
  }

  #serve(socket: Socket): void {
    this.#clients.add(socket)
    socket.on('close', () => this.#clients.delete(socket))
    socket.on('error', () => socket.destroy())
    const reader = new FrameReader(requestBytesMax)
    const writer = new FrameWriter(socket)
    socket.on('data', (chunk: Buffer) => {
      for (const frame of reader.push(chunk)) this.#answer(writer, decodeRequest(frame))
    })
  }

  #answer(writer: FrameWriter, request: StoreRequest): void {
    const { id, key } = request
    const answer = (isDone: boolean, value: Uint8Array): void =>
      writer.write(...encodeAnswer({ id, isDone, value }))
    const refuse = (): void => answer(false, noBytes)
    if (request.kind === 'get') {
      const fresh = this.replica.linearize()
      fresh.then(() => answer(true, this.store.get(key)?.value ?? noBytes), refuse)
    } else {
      const put = { do: 'put', key, value: request.value } as const
      const done = this.replica.propose({ compare: [], success: [put] })
      done.then(() => answer(true, noBytes), refuse)
    }
  }

  #compactIfDue(): void {
    const { revision, compactRevision } = this.store
    if (this.#isCompacting || this.replica.role !== 'leader') return
    if (revision - compactRevision < 2 * revisionsKept) return
    this.#isCompacting = true
    const op = { do: 'compact', revision: revision - revisionsKept } as const
    this.replica
      .propose({ compare: [], success: [op] })
      // The next tick asks again.
      .catch(() => undefined)
      .finally(() => {
        this.#isCompacting = false
      })
  }
}

async function open({ directory, clusterId, nodeId, fsyncDelayMs }: StorePlan) {
  const random = new SystemRandom()
  const disk = new WatchedDisk(fsyncDelayMs)
  const identity = await loadTlsIdentity(directory)
  const key = new Uint8Array(await readFile(join(directory, 'journal.key')))
  const opened = await openJournal({
    directory: join(directory, 'journal'),
    key,
    clusterId,
    nodeId,
    random,
    disk,
  })
  wipe(key)
  const store = new StoreMachine()
  await restoreStore(store, opened.journal)
  return { ...opened, store, identity, random, disk }
}

/** Nothing measured after this would be worth anything. */
const fail = (error: unknown): never => {
  throw error
}
