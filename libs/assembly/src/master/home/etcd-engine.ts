import { readFile } from 'node:fs/promises'
import {
  EtcdClient,
  EtcdUrlInvalid,
  parseEtcdUrl,
  type EtcdClientOptions,
} from '@conclave/engine-etcd'
import { ConclaveError, Redacted } from '@conclave/kernel'

/** An etcd cluster in the place of the masters' own log. Files are named, so that nothing of them is held twice. */
export interface EtcdEngine {
  /** `etcd://host:port,host:port/prefix` */
  readonly url: string
  /** Speak TLS to etcd, whose certificates this authority signs (PEM). */
  readonly caFile?: string | undefined
  /** Show etcd this certificate, and its key (PEM). */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  /** Log in to etcd. */
  readonly user?: string | undefined
  readonly passwordFile?: string | undefined
}

/** A file or a setting by which etcd was to be reached is not right. */
export class EngineUnusable extends ConclaveError {
  readonly code = 'engine.unusable'
}

/** How long one member of etcd may take, and how long all of them: clients of the faces wait for that. */
const attemptMs = 2_000
const deadlineMs = 8_000

export function isEngineUrl(text: string): boolean {
  try {
    parseEtcdUrl(text)
    return true
  } catch (error) {
    if (error instanceof EtcdUrlInvalid) return false
    throw error
  }
}

/** @throws EtcdUrlInvalid, EngineUnusable */
export async function connectEtcd(engine: EtcdEngine): Promise<EtcdClient> {
  const { url, caFile, certFile, keyFile, user, passwordFile } = engine
  const { endpoints } = parseEtcdUrl(url)
  checkPairs(engine)
  const options: EtcdClientOptions = {
    endpoints,
    attemptMs,
    deadlineMs,
    ...(caFile !== undefined && {
      tls: {
        ca: await read(caFile),
        ...(certFile !== undefined && { cert: await read(certFile) }),
        ...(keyFile !== undefined && { key: await read(keyFile) }),
      },
    }),
    ...(user !== undefined &&
      passwordFile !== undefined && {
        user: { name: user, password: new Redacted(withoutNewline(await read(passwordFile))) },
      }),
  }
  return new EtcdClient(options)
}

function checkPairs({ caFile, certFile, keyFile, user, passwordFile }: EtcdEngine): void {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new EngineUnusable(
      'a client certificate for etcd needs its key, and a key its certificate',
    )
  }
  if (certFile !== undefined && caFile === undefined) {
    throw new EngineUnusable("a client certificate for etcd needs the authority of etcd's own")
  }
  if ((user === undefined) !== (passwordFile === undefined)) {
    throw new EngineUnusable(
      "a user of etcd needs a file with the password, and that file the user's name",
    )
  }
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    const { code = 'unreadable' } = cause as { code?: string }
    throw new EngineUnusable(`${file} cannot be read (${code})`, { cause })
  }
}

function withoutNewline(bytes: Buffer): Uint8Array {
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--
  const kept = Uint8Array.from(bytes.subarray(0, end))
  bytes.fill(0)
  return kept
}
