import {
  DockerTlsIncomplete,
  engineOf,
  parseDockerHost,
  parsePeerWire,
  startMaster,
  type AppMember,
  type DockerDoors,
  type DockerTls,
} from '@conclave/assembly/master'
import type { Config, Log } from '@conclave/runtime'
import type { settings } from './config.ts'

/** Starts the one master of this process. It is ready when it listens: who leads comes after that. */
export async function wire(config: Config<typeof settings>, log: Log): Promise<AppMember> {
  const master = await startMaster({
    directory: config.dataDirectory,
    masters: config.masters,
    peerWire: parsePeerWire(config.peerWire),
    engine: engineOf(config),
    docker: dockerDoorsOf(config),
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

/** Everywhere that the docker CLI finds this master. @throws DockerHostInvalid, ConfigInvalid */
function dockerDoorsOf(config: Config<typeof settings>): DockerDoors {
  const { dockerSocket, dockerUser: uid, dockerHosts, simulatedImages } = config
  const tls = dockerTlsOf(config)
  return {
    uid,
    simulatedImages,
    ...(dockerSocket !== 'none' && { path: dockerSocket }),
    ports: dockerHosts.map(parseDockerHost).flatMap((at) => ('path' in at ? [] : [{ ...at, tls }])),
  }
}

function dockerTlsOf(config: Config<typeof settings>): DockerTls | undefined {
  const { dockerTlsCa: caFile, dockerTlsCert: certFile, dockerTlsKey: keyFile } = config
  const given = [caFile, certFile, keyFile].filter((name) => name !== '')
  if (given.length === 0) return undefined
  if (given.length === 3) return { caFile, certFile, keyFile }
  throw new DockerTlsIncomplete()
}
