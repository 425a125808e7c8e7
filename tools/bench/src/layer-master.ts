import { AeadKey, Kek } from '@conclave/crypto'
import { EventLog, MasterActor, type AuditSink, type Group } from '@conclave/actors'
import {
  firstPeople,
  MemoryCertificates,
  MemoryTokenKeys,
  rootPassword,
} from '@conclave/actors/testing'
import { Redacted, utf8, uuid } from '@conclave/kernel'
import { SystemClock, SystemRandom, Ticker } from '@conclave/runtime'
import { encodeCommand, StoreMachine } from '@conclave/store'

const tickMs = 50
const masterId = 'master-1'
const nobody = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }

/** Agrees with itself at once: commands are encoded and applied as ever, and nothing is written or sent. */
function aloneIn(store: StoreMachine, clock: SystemClock): Group {
  let seq = 0
  return {
    role: 'leader',
    term: 1,
    leader: 1,
    appliedIndex: 0,
    commitIndex: 0,
    snapshotIndex: 0,
    config: { ...nobody, voters: [1] },
    whyMembersStay: undefined,
    onRole: () => undefined,
    onConfig: () => undefined,
    memberProgress: () => [],
    demandSnapshot: () => undefined,
    tick: () => undefined,
    propose: async (txn) => {
      const session = { client: masterId, seq: seq++ }
      return store.apply(encodeCommand({ ...txn, session, nowMs: clock.nowMs() }, store.limits))
    },
    linearize: () => Promise.resolve(),
    changeMembers: () => Promise.resolve(),
    close: () => undefined,
  }
}

/** A master with its rights, envelopes and state, but with no log, no disk and no others. */
export async function masterAlone(
  audit: AuditSink,
): Promise<{ readonly master: MasterActor; readonly authorization: string }> {
  const clock = new SystemClock()
  const random = new SystemRandom()
  const store = new StoreMachine()
  const master = new MasterActor({
    settings: {
      clusterId: uuid(random),
      masterId,
      nodeId: 1,
      members: [{ masterId, nodeId: 1, listeners: {} }],
      kek: Kek.of(AeadKey.draw(random)),
      firstIdentities: await firstPeople(random),
      ticksPerSecond: 1000 / tickMs,
    },
    replica: aloneIn(store, clock),
    store,
    events: new EventLog(masterId, 'bench', clock),
    clock,
    random,
    audit,
    tokenKeys: new MemoryTokenKeys(),
    certificates: new MemoryCertificates(clock),
    peers: {
      ask: () => Promise.reject(new Error('there is nobody else')),
      open: () => {
        throw new Error('there is nobody else')
      },
    },
  })
  new Ticker(tickMs, () => master.tick()).start()
  for (let token: string | undefined; ;) {
    const password = new Redacted(utf8(rootPassword))
    if (master.status().isReady) token = await master.identity.login('root', password, '127.0.0.1')
    if (token !== undefined) return { master, authorization: `token=${token}` }
    await new Promise((resolve) => setTimeout(resolve, tickMs))
  }
}
