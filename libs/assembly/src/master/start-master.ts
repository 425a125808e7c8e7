import { join } from 'node:path'
import type { Kek } from '@conclave/crypto'
import { openJournal, type JournalEvent } from '@conclave/journal'
import { wipe } from '@conclave/kernel'
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
import { loadFirstAuthority } from '../cluster/first-authority.ts'
import { FaceExposed, isLoopback } from './face-listener.ts'
import { journalKey } from './journal-key.ts'
import { Master, type RunningMaster } from './master.ts'
import type { MasterOptions, MasterPlace } from './master-options.ts'

/**
 * Starts one master from what lies in its directory: a new one on an empty journal, or one that goes
 * on where it was.
 *
 * @throws MemberFileUnusable, JournalCorrupt, JournalLocked, AuditBroken, FaceExposed, …
 */
export async function startMaster(options: MasterOptions): Promise<RunningMaster> {
  const { directory } = options
  const log = options.log ?? silentLog
  const random = new SystemRandom()
  const clock = new SystemClock()
  const { id: masterId, clusterId, identity } = await loadMember(directory, 'conclave-master')
  const own = placeOf(masterId, options)
  if (!isLoopback(own.host)) {
    if (options.plainHttp !== true) throw new FaceExposed(own.host)
    log.warn({ host: own.host }, 'faces listen beyond this machine, in plain HTTP')
  }
  const [kek, firstIdentities, firstAuthority] = await Promise.all([
    kekOf(directory),
    loadFirstIdentities(directory),
    loadFirstAuthority(directory, identity),
  ])
  log.warn({ file: 'kek.key' }, 'autolock is off: whoever has this directory can read every secret')

  const key = await journalKey({ directory, clusterId, masterId, kek, random })
  const opened = await openJournal({
    directory: join(directory, 'journal'),
    key: key.reveal(),
    clusterId,
    nodeId: own.nodeId,
    random,
    onEvent: (event) => logJournal(log, event),
    ...(options.disks?.journal && { disk: options.disks.journal }),
    ...(options.segmentSizeBytes !== undefined && { segmentSizeBytes: options.segmentSizeBytes }),
  }).finally(() => wipe(key))
  const parts: Closable[] = [{ close: () => opened.journal.close() }]
  try {
    const auditDisk = options.disks?.audit
    const audit =
      auditDisk === undefined
        ? await openAuditLog(join(directory, 'audit.log'))
        : new AuditLog(auditDisk)
    parts.push(audit)
    const master = new Master({
      options,
      own,
      clusterId,
      log,
      clock,
      random,
      kek,
      firstIdentities,
      firstAuthority,
      identity,
      audit,
      ...opened,
    })
    parts.push({ close: () => master.destroy() })
    await master.start()
    return master
  } catch (error) {
    // The last one closes those before it, too; closing twice is harmless.
    for (const part of parts.toReversed()) await part.close().catch(ignore)
    throw error
  }
}

function placeOf(masterId: string, { masters, directory }: MasterOptions): MasterPlace {
  const own = masters.find((one) => one.masterId === masterId)
  if (own !== undefined) return own
  const why = `it is of ${masterId}, who is not among the masters`
  throw new MemberFileUnusable(join(directory, 'identity.pem'), why)
}

async function kekOf(directory: string): Promise<Kek> {
  const kek = await loadKekAtRest(directory)
  if (kek !== undefined) return kek
  throw new MemberFileUnusable(join(directory, 'kek.key'), 'it is not there')
}

interface Closable {
  close(): Promise<void>
}

const ignore = (): void => undefined

function logJournal(log: Log, event: JournalEvent): void {
  const { type, ...fields } = event
  if (type === 'failed') return
  if (type === 'torn-tail-cut' || type === 'snapshot-unreadable') log.warn(fields, type)
  else log.debug(fields, type)
}
