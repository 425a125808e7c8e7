import { X509Certificate } from 'node:crypto'
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { kekContext, type Address } from '@conclave/actors'
import {
  AeadKey,
  createBoxKeyPair,
  Kek,
  openBox,
  parseJoinToken,
  pinsAuthority,
} from '@conclave/crypto'
import { NodeDisk } from '@conclave/journal'
import { ConclaveError, utf8, wipe, writeJsonString, type RedactedBytes } from '@conclave/kernel'
import {
  Backoff,
  createCertificateRequest,
  loadTlsIdentity,
  silentLog,
  SystemRandom,
  writeTlsIdentity,
  type Log,
  type TlsIdentity,
} from '@conclave/runtime'
import { z } from 'zod'
import { MasterAddress } from '../cluster/addresses.ts'
import { kekFile, saveKekAtRest } from '../cluster/kek-at-rest.ts'
import { journalKeyFile } from '../master/keys/journal-key-file.ts'
import { loadEnrolment, saveEnrolment, type Enrolment } from './enrolment-files.ts'
import { askToJoin, JoinRefused, JoinUnreachable, type Assurance } from './join-client.ts'

/** The cluster that answered is not the one that the token is of. Nothing was sent to it. */
export class AuthorityNotPinned extends ConclaveError {
  readonly code = 'join.authority-not-pinned'

  constructor({ host, port }: Address) {
    super(
      `who answers at ${host}:${port} is not of the cluster that this token is of: look at the address, ` +
        'ask for a new token (its authority may have been replaced), or somebody stands in between',
    )
  }
}

/** The directory is another member's. */
export class EnrolmentConflict extends ConclaveError {
  readonly code = 'join.conflict'
}

export interface EnrolOptions {
  /** Where a master listens for who wants to join: its `join` port. */
  readonly address: Address
  /** The text of a join token, which is wiped. */
  readonly token: RedactedBytes
  /** Where the member will keep its things. Made if need be. */
  readonly directory: string
  /** What it means to become. Default: what the token says. */
  readonly role?: 'master' | 'agent' | undefined
  /** Names and addresses that a master is reached by, beside localhost. */
  readonly hosts?: readonly string[]
  readonly log?: Log
}

export type Joined = Pick<Enrolment, 'id' | 'role' | 'nodeId' | 'clusterId' | 'masters'>

const Answer = z.object({
  id: z.string(),
  role: z.enum(['master', 'agent']),
  nodeId: z.int().positive().optional(),
  clusterId: z.string(),
  certificate: z.string(),
  authority: z.string(),
  masters: z.array(MasterAddress),
})

const triesMax = 5

/**
 * Makes a member of a cluster out of a join token: its directory then holds all that it starts from.
 * Whom it talks to must have the authority that the token pins before it hears the token. It can be
 * done again when it was interrupted, and is done when it was.
 *
 * @throws JoinTokenInvalid, AuthorityNotPinned, JoinRefused, JoinUnreachable, EnrolmentConflict, JournalLocked
 */
export async function enrol(options: EnrolOptions): Promise<Joined> {
  try {
    return await alone(options.directory, () => enrolHere(options))
  } finally {
    wipe(options.token)
  }
}

/** Two at once would each write over what the other was given. @throws JournalLocked */
async function alone<T>(directory: string, act: () => Promise<T>): Promise<T> {
  const made = await mkdir(directory, { recursive: true, mode: 0o700 })
  const lock = await new NodeDisk().lock(directory)
  try {
    return await act()
  } finally {
    await lock.release()
    // Who was refused leaves nothing; where anything is in it, it stays.
    if (made !== undefined) await rmdir(directory).catch(() => undefined)
  }
}

async function enrolHere(options: EnrolOptions): Promise<Joined> {
  const enrolment = (await resumed(options)) ?? (await begun(options))
  const identity = await loadTlsIdentity(options.directory)
  const member = { kind: 'member', identity, clusterId: enrolment.clusterId } as const
  if (enrolment.role === 'master') await completeMaster(options, enrolment, member)
  await ask(options, member, '/v1/confirmation')
  wipe(identity.privateKey)
  const { id, role, nodeId, clusterId, masters } = enrolment
  return { id, role, clusterId, masters, ...(nodeId !== undefined && { nodeId }) }
}

/** What an earlier attempt has left, if it got so far as to have a certificate. @throws EnrolmentConflict */
async function resumed({ directory, role }: EnrolOptions): Promise<Enrolment | undefined> {
  const enrolment = await loadEnrolment(directory)
  const hasIdentity = await isThere(join(directory, 'identity.pem'))
  if (enrolment === undefined && hasIdentity) {
    throw new EnrolmentConflict(`${directory} is of a member that did not join; name another`)
  }
  if (enrolment !== undefined && role !== undefined && enrolment.role !== role) {
    throw new EnrolmentConflict(`${directory} is of a ${enrolment.role}; name another`)
  }
  return hasIdentity ? enrolment : undefined
}

/** From nothing to a certificate on the disk. */
async function begun(options: EnrolOptions): Promise<Enrolment> {
  const { address, directory, role: wanted, hosts = [], log = silentLog } = options
  const rootPem = await pinnedRoot(options)
  const clusterId = clusterOf(rootPem)
  const { requestPem, privateKey } = await createCertificateRequest('joining')
  try {
    const body = enrolBody(options.token, {
      ...(wanted && { role: wanted }),
      request: requestPem,
      hosts: hosts.join(','),
    })
    const pinned = { kind: 'pinned', rootPem, clusterId } as const
    const answer = Answer.safeParse(
      await ask(options, pinned, '/v1/certificate', body).finally(() => wipe(body)),
    ).data
    if (answer?.clusterId !== clusterId || (wanted ?? answer.role) !== answer.role) {
      throw new JoinUnreachable(address, 'its answer is none')
    }
    const enrolment = await keepAnswer(directory, answer, privateKey)
    log.info({ member: enrolment.id, role: enrolment.role, clusterId }, 'has joined')
    return enrolment
  } finally {
    wipe(privateKey)
  }
}

export interface PromotionOptions {
  /** Where masters listen for who wants to join. */
  readonly addresses: readonly Address[]
  /** Of the agent whose machine shall have a master beside it. */
  readonly agent: TlsIdentity
  readonly clusterId: string
  /** Where that master will keep its things: nothing is there yet. */
  readonly directory: string
  /** Names and addresses that it is reached by, beside localhost. */
  readonly hosts: readonly string[]
  readonly log?: Log
}

/**
 * Makes a master beside an agent, whose certificate stands for the join token. What was interrupted is erased and
 * done again: the masters give the same ids.
 *
 * @throws JoinRefused, JoinUnreachable, CryptographicFailure
 */
export async function enrolPromoted(options: PromotionOptions): Promise<Joined> {
  const { addresses, agent, clusterId, directory, hosts, log } = options
  const [address] = addresses
  const { requestPem, privateKey } = await createCertificateRequest('joining')
  try {
    const body = utf8(JSON.stringify({ request: requestPem, hosts: hosts.join(',') }))
    const asAgent = { kind: 'member', identity: agent, clusterId } as const
    const answered = await askAny(addresses, asAgent, {
      method: 'POST',
      path: '/v1/promotion',
      body,
    })
    const answer = Answer.safeParse(answered.said).data
    if (answer?.clusterId !== clusterId || answer.role !== 'master') {
      throw new JoinUnreachable(address ?? nowhere, 'its answer is none')
    }
    const enrolment = await keepAnswer(directory, answer, privateKey)
    const identity = await loadTlsIdentity(directory)
    const member = { kind: 'member', identity, clusterId } as const
    const rest = { address: answered.at, directory, ...(log && { log }) }
    await completeMaster(rest, enrolment, member)
    await ask(rest, member, '/v1/confirmation')
    wipe(identity.privateKey)
    log?.info({ member: enrolment.id, clusterId }, 'has become a master')
    return enrolment
  } finally {
    wipe(privateKey)
  }
}

const nowhere: Address = { host: '', port: 0 }

/** The first that answers. @throws JoinRefused, JoinUnreachable */
async function askAny(
  addresses: readonly Address[],
  assurance: Assurance,
  question: Parameters<typeof askToJoin>[2],
): Promise<{ readonly at: Address; readonly said: unknown }> {
  let last: unknown = new JoinUnreachable(nowhere, 'no master is known')
  for (const at of addresses) {
    try {
      return { at, said: await askToJoin<unknown>(at, assurance, question) }
    } catch (error) {
      const mayPass =
        error instanceof JoinUnreachable || (error instanceof JoinRefused && error.status >= 500)
      if (!mayPass) throw error
      last = error
    }
  }
  throw last
}

/** First who it is, then its certificate: whoever finds the second finds the first. */
async function keepAnswer(
  directory: string,
  answer: z.infer<typeof Answer>,
  privateKey: TlsIdentity['privateKey'],
): Promise<Enrolment> {
  const { id, role, nodeId, clusterId, masters, certificate, authority } = answer
  const enrolment: Enrolment = {
    version: 1,
    id,
    role,
    clusterId,
    masters,
    ...(nodeId !== undefined && { nodeId }),
  }
  await saveEnrolment(directory, enrolment)
  await writeTlsIdentity(directory, {
    certificatePem: certificate,
    authorityPem: authority,
    privateKey,
  })
  return enrolment
}

/** The authority as it is told to everybody, once its digest has proven it. @throws AuthorityNotPinned */
async function pinnedRoot(options: EnrolOptions): Promise<string> {
  const token = parseJoinToken(options.token)
  wipe(token.secret)
  const { authority } = await ask<{ authority?: unknown }>(
    options,
    { kind: 'none' },
    '/v1/authority',
  )
  if (typeof authority === 'string' && pinsAuthority(token, authority)) return authority
  throw new AuthorityNotPinned(options.address)
}

/** The O of the root's subject: what is pinned may be believed. */
function clusterOf(rootPem: string): string {
  const { O: clusterId } = new X509Certificate(rootPem).toLegacyObject().subject as { O?: unknown }
  return typeof clusterId === 'string' ? clusterId : ''
}

/** Around the token, which is never text. For the caller to wipe. */
function enrolBody(token: RedactedBytes, rest: Readonly<Record<string, string>>): Uint8Array {
  const quoted = writeJsonString(token.reveal())
  const body = Buffer.concat([utf8('{"token":'), quoted, utf8(`,${JSON.stringify(rest).slice(1)}`)])
  wipe(quoted)
  return body
}

/** A master needs the key that wraps all others. */
async function completeMaster(
  options: Pick<EnrolOptions, 'address' | 'directory' | 'log'>,
  { id, clusterId }: Enrolment,
  member: Assurance,
): Promise<void> {
  const { directory } = options
  // One that has begun to work has its own way to that key; while autolock is on, it rests here no more.
  const signs = [kekFile(directory), journalKeyFile(directory)]
  if ((await Promise.all(signs.map(isThere))).includes(true)) return
  const pair = createBoxKeyPair(new SystemRandom())
  const publicKey = Buffer.from(pair.publicKey).toString('base64')
  const { box } = await ask<{ box?: unknown }>(
    options,
    member,
    '/v1/kek',
    utf8(JSON.stringify({ publicKey })),
  )
  const sealed = Buffer.from(typeof box === 'string' ? box : '', 'base64')
  const key = openBox(pair, sealed, kekContext(clusterId, id))
  try {
    await saveKekAtRest(directory, Kek.of(AeadKey.of(key.reveal())))
  } finally {
    wipe(key)
  }
}

/** Asks until there is an answer, within reason: an election takes a moment. */
async function ask<T>(
  { address, log = silentLog }: Pick<EnrolOptions, 'address' | 'log'>,
  assurance: Assurance,
  path: string,
  body?: Uint8Array,
): Promise<T> {
  const method = path === '/v1/authority' ? 'GET' : 'POST'
  const backoff = new Backoff(new SystemRandom(), 200, 2000)
  for (let tries = 1; ; tries++) {
    try {
      return await askToJoin<T>(address, assurance, { method, path, ...(body && { body }) })
    } catch (error) {
      const mayPass =
        error instanceof JoinUnreachable || (error instanceof JoinRefused && error.status === 503)
      if (!mayPass || tries === triesMax) throw error
      log.debug({ err: error }, 'asks again to join')
      await new Promise((resolve) => {
        setTimeout(resolve, backoff.nextMs())
      })
    }
  }
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )
