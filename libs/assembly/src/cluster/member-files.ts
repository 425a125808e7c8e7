import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ConclaveError, Redacted, type RedactedBytes } from '@conclave/kernel'
import { loadTlsIdentity, subjectOf, type TlsIdentity } from '@conclave/runtime'
import { X509Certificate } from 'node:crypto'
import { FirstIdentities } from './first-identities.ts'

/** A file that a member must have in its directory is missing, open to others or damaged. */
export class MemberFileUnusable extends ConclaveError {
  readonly code = 'member.file-unusable'

  constructor(file: string, why: string, cause?: unknown) {
    super(`${file} cannot be used: ${why}`, { cause })
  }
}

/** Who a member is: its certificate says so, and no configuration can say otherwise. */
export interface MemberIdentity {
  readonly id: string
  readonly clusterId: string
  readonly identity: TlsIdentity
}

export async function loadMember(
  directory: string,
  role: 'conclave-master' | 'conclave-agent',
): Promise<MemberIdentity> {
  const identity = await loadTlsIdentity(directory)
  const { subject } = new X509Certificate(identity.certificatePem).toLegacyObject()
  const named = subjectOf({ subject } as Parameters<typeof subjectOf>[0])
  if (named?.role !== role) {
    throw new MemberFileUnusable(
      join(directory, 'identity.pem'),
      `it is the certificate of a ${named?.role ?? 'stranger'}, and a ${role} starts here`,
    )
  }
  return { id: named.id, clusterId: named.clusterId, identity }
}

/** Who exists in a new cluster from its first moment on; undefined for a master that joins one. */
export async function loadFirstIdentities(directory: string): Promise<FirstIdentities | undefined> {
  const file = join(directory, 'first-identities.json')
  if (!(await isThere(file))) return undefined
  const text = (await readPrivately(file)).toString('utf8')
  try {
    return FirstIdentities.parse(JSON.parse(text))
  } catch {
    // The parser's own words would quote hashes.
    throw new MemberFileUnusable(file, 'it is no list of users and permissions')
  }
}

/** The private key of a scheduler's service account: PKCS #8 as PEM. */
export async function loadAccountKey(directory: string): Promise<RedactedBytes> {
  return new Redacted(Uint8Array.from(await readPrivately(join(directory, 'account.key'))))
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    (error: { code?: string }) => error.code !== 'ENOENT',
  )

/** What only its owner may read. @throws MemberFileUnusable when it cannot be read, or others can */
export async function readPrivately(file: string): Promise<Buffer> {
  let mode: number
  let bytes: Buffer
  try {
    mode = (await stat(file)).mode
    bytes = await readFile(file)
  } catch (cause) {
    throw new MemberFileUnusable(
      file,
      `it cannot be read (${(cause as { code?: string }).code})`,
      cause,
    )
  }
  // Windows knows no such bits and always answers 0666.
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new MemberFileUnusable(file, 'it is open to others: chmod 600 it')
  }
  return bytes
}
