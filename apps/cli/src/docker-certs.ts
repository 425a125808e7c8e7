import { mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Redacted, utf8, utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import {
  createAuthority,
  issueCertificate,
  writeWhole,
  type Authority,
  type TlsIdentity,
} from '@conclave/runtime'
import { CommandFailed } from './failure.ts'

export interface CertsWanted {
  readonly directory: string
  /** Names and addresses that the docker CLI calls, beside localhost. */
  readonly hosts: readonly string[]
  /** Who the client's certificate is of. */
  readonly uid: string
}

export interface CertsMade {
  /** For `DOCKER_CERT_PATH`. */
  readonly client: string
  /** For `--tlscacert`, `--tlscert`, `--tlskey`. */
  readonly server: { readonly ca: string; readonly cert: string; readonly key: string }
}

/** Of the docker face's own authority: it has nothing to do with that of any cluster. */
const name = 'conclave-docker'

/**
 * Makes what TLS between the docker CLI and a machine takes: an authority, the machine's certificate, and one of
 * a client. What is there already is kept, so that more clients can be added.
 */
export async function makeDockerCerts({ directory, hosts, uid }: CertsWanted): Promise<CertsMade> {
  const root = resolve(directory)
  await mkdir(root, { recursive: true, mode: 0o700 })
  const authority = (await authorityIn(root)) ?? (await newAuthority(root))
  try {
    const server = {
      ca: join(root, 'ca.pem'),
      cert: join(root, 'server-cert.pem'),
      key: join(root, 'server-key.pem'),
    }
    const ofServer = await issueCertificate(authority, {
      id: 'docker',
      role: 'conclave-master',
      hosts,
    })
    await writePair(ofServer, server.cert, server.key)
    const client = join(root, uid)
    await mkdir(client, { recursive: true, mode: 0o700 })
    const ofClient = await issueCertificate(authority, { id: uid, role: 'conclave-client' })
    await writeWhole(join(client, 'ca.pem'), utf8(authority.certificatePem), 0o644)
    await writePair(ofClient, join(client, 'cert.pem'), join(client, 'key.pem'))
    return { client, server }
  } finally {
    wipe(authority.privateKey)
  }
}

async function newAuthority(root: string): Promise<Authority> {
  const authority = await createAuthority({ clusterId: name })
  // The key first: an authority without it could sign nothing, and would be in the way.
  await writeWhole(join(root, 'ca-key.pem'), authority.privateKey.reveal(), 0o600)
  await writeWhole(join(root, 'ca.pem'), utf8(authority.certificatePem), 0o644)
  return authority
}

async function authorityIn(root: string): Promise<Authority | undefined> {
  const certificate = await readIfThere(join(root, 'ca.pem'))
  if (certificate === undefined) return undefined
  const key = await readIfThere(join(root, 'ca-key.pem'))
  if (key === undefined) {
    throw new CommandFailed(
      'usage',
      `${root} has an authority without its key (ca-key.pem): name another directory`,
    )
  }
  const privateKey: RedactedBytes = new Redacted(Uint8Array.from(key))
  wipe(key)
  return { clusterId: name, certificatePem: utf8Text(certificate), privateKey }
}

async function writePair(
  { certificatePem, privateKey }: TlsIdentity,
  cert: string,
  key: string,
): Promise<void> {
  await writeWhole(key, privateKey.reveal(), 0o600)
  await writeWhole(cert, utf8(certificatePem), 0o644)
  wipe(privateKey)
}

const readIfThere = (file: string): Promise<Buffer | undefined> =>
  readFile(file).catch((error: { code?: string }) => {
    if (error.code === 'ENOENT') return undefined
    throw new CommandFailed('failed', `${file} cannot be read (${error.code})`)
  })
