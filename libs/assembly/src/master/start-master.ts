import { join } from 'node:path'
import { restoreStore, type Recovered } from '@conclave/actors'
import { parseEtcdUrl } from '@conclave/engine-etcd'
import { NodeDisk, openJournal, openOnThread, type JournalEvent } from '@conclave/journal'
import { invariant } from '@conclave/kernel'
import {
  AuditLog,
  openAuditLog,
  silentLog,
  SystemClock,
  SystemRandom,
  type Log,
} from '@conclave/runtime'
import { MemberFileUnusable, loadFirstIdentities, loadMember } from '../cluster/member-files.ts'
import { loadKekAtRest } from '../cluster/kek-at-rest.ts'
import { loadEnrolment } from '../join/enrolment-files.ts'
import { loadFirstAuthority } from '../cluster/first-authority.ts'
import { foundingSnapshot } from '@conclave/raft'
import { StoreMachine } from '@conclave/store'
import { aloneIn, BeginAnewRefused, wantsToBeginAnew, wishToBeginAnew } from './begin-anew.ts'
import { isRemoved, MasterRemoved } from './membership.ts'
import { FaceExposed, isLoopback } from './face-listener.ts'
import { checkAdmission } from './home/admission.ts'
import { checkEngine, hasJournal } from './home/engine-file.ts'
import { connectEtcd, type EtcdEngine } from './home/etcd-engine.ts'
import { EtcdHome } from './home/etcd-home.ts'
import { holdDirectory } from './home/held-directory.ts'
import { RaftHome } from './home/raft-home.ts'
import type { MakeHome } from './home/state-home.ts'
import { LockableMaster, type StartOpened } from './keys/lockable-master.ts'
import { openKeys } from './keys/open-keys.ts'
import { Master, type MasterParts, type RunningMaster } from './master.ts'
import type { MasterOptions, MasterPlace } from './master-options.ts'

/**
 * Starts one master from what lies in its directory: a new one on an empty journal, or one that goes
 * on where it was.
 *
 * @throws MemberFileUnusable, MasterRemoved, JournalCorrupt, JournalLocked, AuditBroken, FaceExposed, …
 */
export async function startMaster(options: MasterOptions): Promise<RunningMaster> {
  const { directory } = options
  const log = options.log ?? silentLog
  const random = new SystemRandom()
  const clock = options.clock ?? new SystemClock()
  const { id: masterId, clusterId, identity } = await loadMember(directory, 'conclave-master')
  if (await isRemoved(directory)) throw new MasterRemoved(masterId, directory)
  if (options.beginsAnew === true) await wishToBeginAnew(directory, options.disks?.journal)
  const own = placeOf(masterId, options)
  const faceHost = own.faceHost ?? own.host
  if (!isLoopback(faceHost)) {
    if (options.plainHttp !== true) throw new FaceExposed(faceHost)
    log.warn({ host: faceHost }, 'faces listen beyond this machine, in plain HTTP')
  }
  const [atRest, firstIdentities, firstAuthority] = await Promise.all([
    loadKekAtRest(directory),
    // A master that was enrolled joins those who are there: it founds nothing.
    loadEnrolment(directory).then((joined) =>
      joined ? undefined : loadFirstIdentities(directory),
    ),
    loadFirstAuthority(directory, identity),
  ])
  const owner = { clusterId, masterId }
  const keys = await openKeys({ disk: new NodeDisk(), directory, owner, random }, atRest)
  const start: StartOpened = (keeper, place, wasLocked) => {
    const rest = { clusterId, log, clock, random, firstIdentities, firstAuthority, identity }
    return startOpened({ options, own: place, keeper, wasLocked, ...rest })
  }
  if (keys.state === 'locked')
    return LockableMaster.start({
      clusterId,
      own,
      directory,
      masters: options.masters,
      identity,
      docker: options.docker,
      log,
      clock,
      open: keys.open,
      start,
    })
  if (options.faithfulLeaks === true) {
    const why =
      'FAITHFUL LEAKS ARE ON: this master shows values of secrets, as Mesos does, for lessons'
    log.warn({}, `${why}; give it no secret that matters`)
  }
  if (!keys.keeper.isLocked) {
    log.warn(
      { file: 'kek.key' },
      'autolock is off: whoever has this directory can read every secret',
    )
  }
  return start(keys.keeper, own, false)
}

/** All that a master is made of, from the moment that its keys are open. */
async function startOpened(found: Found): Promise<Master> {
  const { directory, disks } = found.options
  const beginsAnew = await wantsToBeginAnew(directory, disks?.journal ?? new NodeDisk())
  if (beginsAnew && found.options.engine !== undefined) {
    throw new BeginAnewRefused('masters whose state is in an etcd need none of the others for it')
  }
  const home = await openHome(found, beginsAnew)
  const parts: Closable[] = [home]
  try {
    const audit =
      disks?.audit === undefined
        ? await openAuditLog(join(directory, 'audit.log'))
        : new AuditLog(disks.audit)
    parts.push(audit)
    const master = new Master({ ...found, beginsAnew, audit, makeHome: home.makeHome })
    parts.push({ close: () => master.destroy() })
    await master.start()
    return master
  } catch (error) {
    // The last one closes those before it, too; closing twice is harmless.
    for (const part of parts.toReversed()) await part.close().catch(ignore)
    throw error
  }
}

interface OpenedHome extends Closable {
  readonly makeHome: MakeHome
}

type Found = Omit<MasterParts, 'audit' | 'makeHome' | 'beginsAnew'>

/** Where the state of this master is: in its own journal, or in an etcd. @throws EngineMismatch, EngineUnusable, … */
async function openHome(found: Found, beginsAnew: boolean): Promise<OpenedHome> {
  const { directory, engine } = found.options
  await checkEngine(directory, engine && parseEtcdUrl(engine.url).prefix)
  return engine === undefined ? openRaftHome(found, beginsAnew) : openEtcdHome(found, engine)
}

async function openEtcdHome(found: Found, engine: EtcdEngine): Promise<OpenedHome> {
  const { options, own, clusterId, log, random, firstIdentities } = found
  const { directory, masters } = options
  const letGo = await holdDirectory(directory)
  const client = await connectEtcd(engine).catch(async (error: unknown) => {
    await letGo()
    throw error
  })
  const close = async (): Promise<void> => {
    client.close()
    await letGo()
  }
  try {
    const newcomer = {
      clusterId,
      prefix: parseEtcdUrl(engine.url).prefix,
      isFounder: firstIdentities !== undefined,
      hasJournal: await hasJournal(directory),
    }
    await checkAdmission(newcomer, client, random)
    const parts = { client, newcomer, directory, own, masters, random, log, close }
    return { makeHome: (told) => new EtcdHome(parts, told), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openRaftHome(found: Found, beginsAnew: boolean): Promise<OpenedHome> {
  const { options, own, clusterId, log, random, keeper, clock, firstIdentities } = found
  const { directory, masters } = options
  const [newest, ...older] = keeper.keys
    .toReversed()
    .map(({ id, key }) => ({ id, bytes: key.bytes() }))
  invariant(newest !== undefined, 'a journal has a key')
  const opened = await openJournal({
    directory: join(directory, 'journal'),
    key: newest.bytes,
    keyId: newest.id,
    olderKeys: older,
    clusterId,
    nodeId: own.nodeId,
    random,
    onEvent: (event) => logJournal(log, event),
    segmentOpener: openOnThread,
    ...(options.disks?.journal && { disk: options.disks.journal }),
    ...(options.segmentSizeBytes !== undefined && { segmentSizeBytes: options.segmentSizeBytes }),
  }).finally(() => {
    for (const { bytes } of [newest, ...older]) bytes.fill(0)
  })
  keeper.serve(opened.journal)
  const close = (): Promise<void> => opened.journal.close()
  try {
    const store = new StoreMachine()
    await restoreStore(store, opened.journal)
    const before = firstIdentities === undefined ? opened.recovered : await founded(opened, masters)
    const recovered = beginsAnew ? await aloneIn(opened.journal, before, own.nodeId) : before
    // Who begins a new cluster together. A master that joins one knows nobody until it is told.
    const founders = firstIdentities === undefined ? [] : masters.map(({ nodeId }) => nodeId)
    const rest = { options, own, log, clock, random, founders }
    const parts = { ...rest, journal: opened.journal, recovered, store }
    return { makeHome: (told) => new RaftHome(parts, told), close }
  } catch (error) {
    await close().catch(ignore)
    throw error
  }
}

/**
 * What a founder begins with goes to its disk before anything else: who the founders were must not be
 * looked up again later, when the masters it is told of are others.
 */
async function founded(
  { journal, recovered }: Awaited<ReturnType<typeof openJournal>>,
  masters: readonly MasterPlace[],
): Promise<Recovered> {
  const { snapshot, hardState, entries } = recovered
  if (snapshot !== undefined || hardState !== undefined || entries.length > 0) return recovered
  const voters = masters.map(({ nodeId }) => nodeId)
  const founding = foundingSnapshot(voters)
  const sink = await journal.beginSnapshot(founding.meta)
  await sink.write(new StoreMachine().snapshot())
  await sink.commit()
  return { snapshot: founding, entries }
}

function placeOf(masterId: string, { masters, directory }: MasterOptions): MasterPlace {
  const own = masters.find((one) => one.masterId === masterId)
  if (own !== undefined) return own
  const why = `it is of ${masterId}, who is not among the masters`
  throw new MemberFileUnusable(join(directory, 'identity.pem'), why)
}

interface Closable {
  close(): Promise<void>
}

const ignore = (): void => undefined

const isWarning: ReadonlySet<JournalEvent['type']> = new Set([
  'opener-lost',
  'snapshot-unreadable',
  'torn-tail-cut',
])

function logJournal(log: Log, event: JournalEvent): void {
  const { type, ...fields } = event
  if (type === 'failed') return
  if (isWarning.has(type)) log.warn(fields, type)
  else log.debug(fields, type)
}
