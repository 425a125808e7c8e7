import { defaultReplicaLimits } from '@conclave/actors'
import { engineSettings, isPeerWire, memberSettings } from '@conclave/assembly/master'
import { secretSizeBytesMax } from '@conclave/model'
import { flagSetting, secretSetting, setting } from '@conclave/runtime'
import { simulatedImagesModes } from '@conclave/simulated-images'
import { z } from 'zod'

const mebibyte = 1024 * 1024
const file = z.string()
const none = ''

/** What a master can be told. */
export const settings = {
  ...memberSettings,
  ...engineSettings,
  /** Secret, because the address of a Redis may hold a password. */
  peerWire: secretSetting(
    z.string().refine(isPeerWire),
    'tcp, or a Redis that all masters reach: redis://host:port, rediss://user:password@host:port/db, unix:///path',
    'tcp',
  ),
  tickMs: setting(
    z.int().min(5).max(5000),
    'milliseconds of one tick of Raft, from 5 to 5000: a leader that is silent for ten is replaced',
    50,
  ),
  plainHttp: setting(
    z.boolean(),
    'true to let faces listen beyond this machine without TLS (where a proxy adds it), or false',
    false,
  ),
  dockerSocket: setting(
    z.string().min(1).max(103),
    'where the docker CLI finds this master, as a path of at most 103 bytes; none for nowhere',
    'none',
  ),
  dockerUser: setting(
    z.string().min(1).max(255),
    'the user whose rights whoever may open the docker socket has',
    'dev',
  ),
  dockerHosts: setting(
    z.array(z.string().startsWith('tcp://')).readonly(),
    'more places where the docker CLI finds this master, each as tcp://host:port; on this machine alone unless with TLS',
    [] as readonly string[],
  ),
  dockerTlsCa: setting(
    file,
    'a file with the authority of docker clients (PEM), for TLS on all of these',
    none,
  ),
  dockerTlsCert: setting(file, 'a file with the certificate that they are shown (PEM)', none),
  dockerTlsKey: setting(file, 'a file with its key (PEM), for its owner alone', none),
  simulatedImages: setting(
    z.enum(simulatedImagesModes),
    'which images the docker socket knows, as agents have them: known, any or off',
    'any',
  ),
  faithfulLeaks: flagSetting(
    z.boolean(),
    "true to show what Mesos shows in its state (inline secrets, variables, executors' data), and to take agents that leak, for lessons; or false",
    false,
  ),
  snapshotEntries: setting(
    z.int().min(1).max(10_000_000),
    'how many entries of the log lead to a snapshot, from 1 on',
    defaultReplicaLimits.snapshotEntries,
  ),
  secretSizeBytesMax: setting(
    z
      .int()
      .min(1)
      .max(16 * mebibyte),
    'how many bytes one secret may have, up to 16 MiB',
    secretSizeBytesMax,
  ),
} as const
