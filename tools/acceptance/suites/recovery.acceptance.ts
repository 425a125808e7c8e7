import {
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  flipByte,
  foundCluster,
  Home,
  journalFiles,
  Load,
  missingFrom,
  tearTail,
  until,
  writtenLength,
  type Master,
} from '../src/index.ts'

const rounds = 20
const writesPerRound = 40

let home: Home
let cluster: Conclave
/** All that was ever acknowledged: in the end it must be at every master. */
const promised = new Map<string, string>()

beforeAll(async () => {
  home = new Home()
  cluster = await Conclave.start([], { home })
})
afterAll(async () => {
  await cluster?.stop()
  home.remove()
})

function master(id: string): Master {
  const found = cluster.ready.masters.find(({ masterId }) => masterId === id)
  if (found === undefined) throw new Error(`no master is called ${id}`)
  return found
}

const missing = async (at?: Master): Promise<readonly string[]> =>
  missingFrom(cluster, at ?? (await cluster.leader()), promised)

function promise(load: Load): void {
  for (const [path, value] of load.acknowledged) promised.set(path, value)
}

/** A value that somebody stores now, by way of one master. */
async function store(at: Master, path: string, body: string | Uint8Array): Promise<number> {
  const { status } = await cluster.ask(at, 'dcos', `/secrets/v1/secret/default/${path}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream' },
    body,
  })
  return status
}

/** A member that does not lead: its group goes on without it at once. */
async function follower(): Promise<Master> {
  const { masterId } = await cluster.leader()
  return master(masterId === 'master-3' ? 'master-2' : 'master-3')
}

/**
 * Damages the disk of a master that is killed, tries to start it, puts back what was there, and starts
 * it for good. @returns how it ended, and whether the others took a write meanwhile
 */
async function withDamage(
  victim: Master,
  damage: () => () => void,
): Promise<{ code: number | null; said: string; write: number }> {
  await cluster.kill(victim.masterId)
  const mend = damage()
  const path = `recovery/beside/${promised.size}`
  let outcome: { code: number | null; said: string }
  let write: number
  try {
    outcome = await cluster.startInVain(victim.masterId)
    const others = cluster.ready.masters.filter((one) => one !== victim)
    write = await store(await cluster.leader(others), path, 'beside')
    promised.set(path, 'beside')
  } finally {
    mend()
  }
  await cluster.restart(victim.masterId)
  await until('it has caught up', async () => (await missing(victim)).length === 0)
  return { ...outcome, write }
}

/** Refused to start, for this reason, while the others went on. */
const refused = (why: RegExp): object => ({
  code: 1,
  said: expect.stringMatching(why),
  write: 201,
})

const flipped = (file: string, offset: number) => (): (() => void) => {
  flipByte(file, offset)
  return () => flipByte(file, offset)
}

describe('acknowledged writes', () => {
  test.each(Array.from({ length: rounds }, (_, index) => index + 1))(
    'survive kill -9 of all masters at once, under load (round %i)',
    async (round) => {
      const load = new Load(cluster, `recovery/all/${round}`)
      await until('enough writes are acknowledged', () => load.acknowledged.size >= writesPerRound)

      await cluster.kill('master-1', 'master-2', 'master-3')
      await load.end()
      promise(load)
      await Promise.all(cluster.ready.masters.map(({ masterId }) => cluster.restart(masterId)))

      // Whoever is asked first knows of all, for a read waits for what was acknowledged anywhere.
      const asked = cluster.ready.masters[round % cluster.ready.masters.length]
      expect(await missingFrom(cluster, asked ?? master('master-1'), load.acknowledged)).toEqual([])
    },
  )

  test('survive kill -9 of the leader, and others are soon acknowledged again', async () => {
    const load = new Load(cluster, 'recovery/leader')
    await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)
    const { masterId } = await cluster.leader()

    await cluster.kill(masterId)
    const atKill = load.acknowledged.size
    await until('fifty more are acknowledged', () => load.acknowledged.size >= atKill + 50)
    await load.end()
    promise(load)
    const others = cluster.ready.masters.filter((one) => one.masterId !== masterId)
    expect(await missing(await cluster.leader(others))).toEqual([])

    await cluster.restart(masterId)
    await until('it has caught up', async () => (await missing(master(masterId))).length === 0)
  })
})

describe('a master whose disk', () => {
  test('holds an unfinished record at its end drops it, and goes on', async () => {
    const victim = await follower()
    await cluster.kill(victim.masterId)
    const journal = journalFiles(victim.directory, '.wal').at(-1) ?? ''
    const offset = tearTail(journal)

    await cluster.restart(victim.masterId)

    await until('it has caught up', async () => (await missing(victim)).length === 0)
    expect(cluster.logOf(victim.masterId)).toMatch(
      new RegExp(`"file":"${basename(journal)}","offset":${offset},.*torn-tail-cut`),
    )
    expect(journalFiles(victim.directory, '.torn').map((file) => basename(file))).toEqual([
      `${basename(journal)}.torn`,
    ])
  })

  test('has a changed byte in the middle of its journal does not start, and says where', async () => {
    const victim = await follower()
    const journal = journalFiles(victim.directory, '.wal').find((file) => writtenLength(file) > 512)
    if (journal === undefined) throw new Error('no segment has anything in it')

    const outcome = await withDamage(
      victim,
      flipped(journal, Math.floor(writtenLength(journal) / 2)),
    )

    expect(outcome).toEqual(
      refused(new RegExp(`WAL_CORRUPT: ${basename(journal)} at byte [1-9]\\d*: `)),
    )
  })

  test('has a journal that was cut short does not start, and says where', async () => {
    const victim = await follower()
    const journal = journalFiles(victim.directory, '.wal').at(-1) ?? ''
    const size = writtenLength(journal) - 100

    const outcome = await withDamage(victim, () => {
      const whole = readFileSync(journal)
      truncateSync(journal, size)
      return () => writeFileSync(journal, whole)
    })

    expect(outcome).toEqual(
      refused(new RegExp(`WAL_CORRUPT: ${basename(journal)} at byte ${size}: the file ends`)),
    )
  })

  test('has a changed byte in its audit log does not start, and says where', async () => {
    const victim = await follower()
    const audit = join(victim.directory, 'audit.log')

    const outcome = await withDamage(victim, flipped(audit, Math.floor(statSync(audit).size / 2)))

    expect(outcome).toEqual(refused(/audit\.log is broken at line [1-9]\d*: /))
  })

  test('has a changed byte in its snapshot does not start, and says where', async () => {
    const victim = await follower()
    const [oldest = ''] = journalFiles(victim.directory, '.wal')
    // A snapshot is due after 64 MiB of entries.
    const large = Buffer.alloc(1_000_000, 'x')
    for (let turn = 0; turn < 18; turn++) {
      await Promise.all(
        [0, 1, 2, 3].map(async (n) => {
          const path = `recovery/large/${turn}/${n}`
          expect(await store(await cluster.leader(), path, large)).toBe(201)
        }),
      )
    }
    // Until the log is gone that it stands for, a damaged one is only reported.
    const snapshot = await until(
      'it has a snapshot in the place of its log',
      () => !existsSync(oldest) && journalFiles(victim.directory, '.snap').at(-1),
    )

    const outcome = await withDamage(
      victim,
      flipped(snapshot, Math.floor(statSync(snapshot).size / 2)),
    )

    expect(outcome).toEqual(
      refused(new RegExp(`WAL_CORRUPT: ${basename(snapshot)} at byte [1-9]\\d*: `)),
    )
  })

  test('holds the key of another cluster does not start', async () => {
    const other = home.file('other')
    await foundCluster(home, other, [])
    const victim = await follower()
    const [key, kept] = [join(victim.directory, 'kek.key'), home.file('kek.kept')]

    const outcome = await withDamage(victim, () => {
      copyFileSync(key, kept)
      copyFileSync(join(other, 'masters', victim.masterId, 'kek.key'), key)
      return () => copyFileSync(kept, key)
    })

    expect(outcome).toEqual(
      refused(/journal\.keys cannot be used: it does not open under the key in kek\.key/),
    )
  })

  test('holds the journal of another master does not start', async () => {
    const victim = await follower()
    const other = cluster.ready.masters.find((one) => one !== victim)
    const own = join(victim.directory, 'journal')

    const outcome = await withDamage(victim, () => {
      renameSync(own, `${own}.kept`)
      cpSync(join(other?.directory ?? '', 'journal'), own, { recursive: true })
      rmSync(join(own, 'lock'), { force: true })
      return () => {
        rmSync(own, { recursive: true })
        renameSync(`${own}.kept`, own)
      }
    })

    expect(outcome).toEqual(refused(/\.(wal|snap) was written by /))
  })

  test('is that of a master which runs is left alone', async () => {
    const [first, second] = [master('master-1'), master('master-2')]

    const { code, said } = await cluster.startInVain('master-2', [
      '--data-directory',
      first.directory,
    ])

    expect(code).toBe(1)
    expect(said).toMatch(/journal is in use by /)
    expect(await missing(second)).toEqual([])
  })
})

describe('afterwards', () => {
  test('every master has every write that was acknowledged, also when all are started again', async () => {
    expect(promised.size).toBeGreaterThanOrEqual(rounds * writesPerRound + 100)
    for (const one of cluster.ready.masters) expect(await missing(one)).toEqual([])

    expect(await cluster.stop()).toBe(0)
    cluster = await Conclave.start([], { home })

    for (const one of cluster.ready.masters) expect(await missing(one)).toEqual([])
    const logs = cluster.ready.masters.map(({ masterId }) => cluster.logOf(masterId)).join('')
    expect(logs).not.toContain('value of recovery')
    expect(readFileSync(home.file('ready.json'), 'utf8')).toContain(cluster.ready.clusterId)
  })
})
