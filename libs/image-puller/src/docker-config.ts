import { Redacted, utf8, utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import { ImagePullFailed } from './errors.ts'

/*
 * Credentials for registries, as docker keeps them: `config.json` (`{"auths": {…}}`) and the older
 * `.dockercfg`. Source: reference/mesos.md §17. Only `auth` counts, as in Mesos.
 */

/** What a registry is shown: base64 of `user:password`, as bytes. */
export interface RegistryCredential {
  /** As it stands in the file, such as `https://index.docker.io/v1/` or `registry:5000`. */
  readonly key: string
  readonly auth: RedactedBytes
}

const failed = (why: string): ImagePullFailed =>
  new ImagePullFailed(`Failed to parse docker config: ${why}`)

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The credentials of a docker config. Upstream quotes what it cannot read; here no message does.
 *
 * @throws ImagePullFailed
 */
export function parseDockerConfig(bytes: RedactedBytes): readonly RegistryCredential[] {
  const config = parsed(bytes)
  if (!isObject(config)) throw failed('Invalid JSON object')
  const { auths } = config
  if (auths !== undefined && !isObject(auths))
    throw failed("Protobuf parse failed: 'auths' is no object")
  return Object.entries(auths ?? config).flatMap(([key, entry]) => {
    if (!isObject(entry)) throw failed('Protobuf parse failed: an entry is no object')
    const { auth } = entry
    if (auth === undefined) return []
    if (typeof auth !== 'string' || !/^[A-Za-z0-9+/]+=*$/.test(auth)) {
      throw failed("Protobuf parse failed: an 'auth' is no base64")
    }
    return [{ key, auth: new Redacted(utf8(auth)) }]
  })
}

function parsed(bytes: RedactedBytes): unknown {
  try {
    return JSON.parse(utf8Text(bytes.reveal()))
  } catch {
    throw failed('JSON parse failed: it is not JSON')
  }
}

/** The first credential for `host` (`host[:port]`), or nothing. */
export function credentialFor(
  host: string,
  credentials: readonly RegistryCredential[],
): RedactedBytes | undefined {
  const matching = credentials.find(({ key }) => {
    const listed = hostOf(key)
    return listed === host || (listed.includes('docker.io') && host.includes('docker.io'))
  })
  return matching?.auth
}

/** `https://host:5000/v1/` is `host:5000`. */
const hostOf = (key: string): string => key.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '')

/** A task's own credentials, and behind them those of its agent that it does not replace. */
export function mergeCredentials(
  own: readonly RegistryCredential[],
  ofAgent: readonly RegistryCredential[],
): readonly RegistryCredential[] {
  const replaced = new Set(own.map(({ key }) => key))
  return [...own, ...ofAgent.filter(({ key }) => !replaced.has(key))]
}

export function wipeCredentials(credentials: readonly RegistryCredential[]): void {
  for (const { auth } of credentials) wipe(auth)
}
