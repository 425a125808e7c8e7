import {
  isSnapshotMessage,
  OutcomeUnknown,
  Replica,
  Unavailable,
  type PeerMessage,
  type ReplicaWork,
} from '@conclave/actors'
import { openJournal, type Disk } from '@conclave/journal'
import { StoreMachine, type ApplyResult, type Txn } from '@conclave/store'
import type { Parts } from '../parts.ts'

/*
 * Broken parts, one for each promise. A checker that lets them pass checks nothing.
 */

const withReplica = (Broken: typeof Replica): Partial<Parts> => ({
  createReplica: (options) => new Broken(options),
})

const withDisk = (broken: (disk: Disk) => Disk): Partial<Parts> => ({
  openJournal: (options) =>
    openJournal(options.disk === undefined ? options : { ...options, disk: broken(options.disk) }),
})

/** Votes for whoever asks. */
class Friend extends Replica {
  override takeWork(): ReplicaWork | undefined {
    const work = super.takeWork()
    const late = work?.late.map((message) =>
      message.type === 'MsgVoteResp' ? { ...message, reject: false } : message,
    )
    return work && late && { ...work, late }
  }
}

/** A follower writes something else than it was sent, now and then. */
class Forger extends Replica {
  override receive(message: PeerMessage): void {
    if (isSnapshotMessage(message)) return super.receive(message)
    const entries = message.entries.map((entry) =>
      entry.index % 10 === 0 && entry.data.length > 40
        ? { ...entry, data: entry.data.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) }
        : entry,
    )
    super.receive({ ...message, entries })
  }
}

/** A leader takes any sign of life for an acknowledgement of everything. */
class Optimist extends Replica {
  #last = 0

  override takeWork(): ReplicaWork | undefined {
    const work = super.takeWork()
    if (this.role !== 'leader') this.#last = 0
    else this.#last = work?.batch?.entries.at(-1)?.index ?? this.#last
    return work
  }

  override receive(message: PeerMessage): void {
    super.receive(message)
    if (this.#last === 0 || message.type !== 'MsgHeartbeatResp') return
    super.receive({ ...message, type: 'MsgAppResp', index: this.#last, context: new Uint8Array() })
  }
}

/** Answers leave before the disk has been written. */
class Hasty extends Replica {
  override takeWork(): ReplicaWork | undefined {
    const work = super.takeWork()
    return work && { ...work, early: [...work.early, ...work.late], late: [] }
  }
}

class Forgetful extends Replica {
  #looks = 0

  override get commitIndex(): number {
    return super.commitIndex - (this.#looks++ % 500 === 499 ? 1 : 0)
  }
}

/** Reads what it happens to have. */
class Careless extends Replica {
  override linearize(): Promise<void> {
    return Promise.resolve()
  }
}

/** Calls a failure what may still happen. */
class Denier extends Replica {
  override async propose(txn: Txn): Promise<ApplyResult> {
    try {
      return await super.propose(txn)
    } catch (error) {
      throw error instanceof OutcomeUnknown ? new Unavailable('failed') : error
    }
  }
}

class Nervous extends Replica {
  #ticks = 0

  override tick(): void {
    if (++this.#ticks === 60) throw new Error('nerves')
    super.tick()
  }
}

/** Takes no snapshot from anybody, and so is left behind. */
class Proud extends Replica {
  override receive(message: PeerMessage): void {
    if (!isSnapshotMessage(message)) super.receive(message)
  }
}

/** Waits for a leader's silence, although its process is gone. */
class Patient extends Replica {
  override linkLost(): void {
    return undefined
  }
}

/** Leaves what it knows to be committed out of what it writes. */
class Modest extends Replica {
  override takeWork(): ReplicaWork | undefined {
    const work = super.takeWork()
    if (work?.batch?.hardState === undefined) return work
    return { ...work, batch: { ...work.batch, hardState: { ...work.batch.hardState, commit: 1 } } }
  }
}

/** Says that the members were changed, and changes nothing. */
class Flatterer extends Replica {
  override changeMembers(): Promise<void> {
    return Promise.resolve()
  }
}

/** Counts a revision too much, on every third member. */
class Miscounter extends StoreMachine {
  static #count = 0
  readonly #isWrong = Miscounter.#count++ % 3 === 2
  #applied = 0

  override apply(bytes: Uint8Array): ApplyResult {
    const result = super.apply(bytes)
    const isOff = this.#isWrong && ++this.#applied === 20
    return isOff ? { ...result, revision: result.revision + 1 } : result
  }
}

/** What breaks each rule, by what it does. */
export const sabotage = {
  'everybody who asks gets a vote': withReplica(Friend),
  'followers write something else': withReplica(Forger),
  'heartbeats count as acknowledgements': withReplica(Optimist),
  'stores come to something else': { createStore: () => new Miscounter() },
  'answers leave before the disk is written': withReplica(Hasty),
  'syncs do nothing': withDisk((disk) => ({
    ...methodsOf(disk),
    create: async (path) => ({ ...(await disk.create(path)), sync: () => Promise.resolve() }),
  })),
  'journals go on after they failed': {
    openJournal: async (options) => {
      const opened = await openJournal(options)
      const { journal } = opened
      let hasFailed = false
      const append: typeof journal.append = async (batch) => {
        if (hasFailed) return
        try {
          await journal.append(batch)
        } catch (error) {
          hasFailed = true
          throw error
        }
      }
      return { ...opened, journal: { ...methodsOf(journal), append } }
    },
  },
  'the commit index falls': withReplica(Forgetful),
  'reads are not confirmed': withReplica(Careless),
  'unknown is told as failed': withReplica(Denier),
  'something throws': withReplica(Nervous),
  'entries are written down beside the journal': {
    openJournal: async (options) => {
      const opened = await openJournal(options)
      const { journal } = opened
      const append: typeof journal.append = async (batch) => {
        await journal.append(batch)
        const text = batch.entries.map(({ data }) => Buffer.from(data).toString('latin1')).join()
        const path = `${options.directory}/debug-${batch.entries[0]?.index ?? 0}.log`
        const file = await options.disk?.create(path).catch(() => undefined)
        await file?.write(Buffer.from(text, 'latin1'), 0)
      }
      return { ...opened, journal: { ...methodsOf(journal), append } }
    },
  },
  'changes of members are not made': withReplica(Flatterer),
  'snapshots are not taken': withReplica(Proud),
  'nobody stands for a leader that is gone': withReplica(Patient),
  'what is committed is not written down': withReplica(Modest),
  'journals keep their keys': {
    openJournal: async (options) => {
      const opened = await openJournal(options)
      const { journal } = opened
      return { ...opened, journal: { ...methodsOf(journal), rotateKey: () => Promise.resolve() } }
    },
  },
} as const satisfies Record<string, Partial<Parts>>

/** An object with the same methods, some of which can then be replaced. */
function methodsOf<T extends object>(one: T): T {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(one))
  return Object.fromEntries(
    names
      .filter((name) => name !== 'constructor')
      .flatMap((name) => {
        const method: unknown = Reflect.get(one, name)
        return typeof method === 'function' ? [[name, method.bind(one) as unknown]] : []
      }),
  ) as T
}
