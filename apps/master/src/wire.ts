import { engineOf, parsePeerWire, startMaster, type AppMember } from '@conclave/assembly'
import type { Config, Log } from '@conclave/runtime'
import type { settings } from './config.ts'

/** Starts the one master of this process. It is ready when it listens: who leads comes after that. */
export async function wire(config: Config<typeof settings>, log: Log): Promise<AppMember> {
  const master = await startMaster({
    directory: config.dataDirectory,
    masters: config.masters,
    peerWire: parsePeerWire(config.peerWire),
    engine: engineOf(config),
    docker:
      config.dockerSocket === 'none'
        ? undefined
        : { path: config.dockerSocket, uid: config.dockerUser },
    tickMs: config.tickMs,
    plainHttp: config.plainHttp,
    faithfulLeaks: config.faithfulLeaks,
    replicaLimits: { snapshotEntries: config.snapshotEntries },
    secretSizeBytesMax: config.secretSizeBytesMax,
    log,
  })
  return {
    ready: Promise.resolve({ masterId: master.masterId, place: master.place }),
    failed: master.failed,
    stop: () => master.stop(),
  }
}
