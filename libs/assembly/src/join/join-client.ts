import { request as send } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import type { Address } from '@conclave/actors'
import { ConclaveError } from '@conclave/kernel'
import { LinkRefused, tlsOptions, whyNot, type TlsIdentity } from '@conclave/runtime'

/** A master could not be asked to join, or its answer is none. Names the place, never what was sent. */
export class JoinUnreachable extends ConclaveError {
  readonly code = 'join.unreachable'

  constructor({ host, port }: Address, why: string, cause?: unknown) {
    super(`cannot join at ${host}:${port}: ${why}`, { cause })
  }
}

/** A master has answered, and said no. `reason` is its own code for that. */
export class JoinRefused extends ConclaveError {
  readonly code = 'join.refused'
  readonly status: number
  readonly reason: string

  constructor({ host, port }: Address, status: number, reason: string, message: string) {
    super(`the master at ${host}:${port} refused: ${message}`)
    this.status = status
    this.reason = reason
  }
}

/** How sure we are of who is at the other end. */
export type Assurance =
  /** First contact: nothing is sent that anybody might misuse, nothing that comes is believed. */
  | { readonly kind: 'none' }
  /** The root is known, and we are nobody yet. */
  | { readonly kind: 'pinned'; readonly rootPem: string; readonly clusterId: string }
  /** Both show a certificate. */
  | { readonly kind: 'member'; readonly identity: TlsIdentity; readonly clusterId: string }

const answerBytesMax = 256 * 1024
const patienceMs = 10_000

/** Asks the `join` port of one master once, over a connection of its own. */
export async function askToJoin<T>(
  address: Address,
  assurance: Assurance,
  { method, path, body }: { readonly method: string; readonly path: string; body?: Uint8Array },
): Promise<T> {
  const { status, bytes } = await exchange(address, assurance, method, path, body)
  const answer = parse(bytes)
  if (status === 200 && answer !== undefined) return answer as T
  const { code, message } =
    (answer as { error?: { code?: unknown; message?: unknown } })?.error ?? {}
  if (typeof code !== 'string' || typeof message !== 'string') {
    throw new JoinUnreachable(address, `it answered ${status} and no words; is this a join port?`)
  }
  throw new JoinRefused(address, status, code, message)
}

function exchange(
  address: Address,
  assurance: Assurance,
  method: string,
  path: string,
  body: Uint8Array | undefined,
): Promise<{ status: number; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(new JoinUnreachable(address, why, cause))
    const asking = send(
      {
        ...tlsOf(assurance),
        ...address,
        method,
        path,
        agent: false,
        signal: AbortSignal.timeout(patienceMs),
        headers: body && { 'content-type': 'application/json', 'content-length': body.length },
      },
      (response) => {
        const pieces: Buffer[] = []
        let sizeBytes = 0
        response.on('data', (piece: Buffer) => {
          sizeBytes += piece.length
          pieces.push(piece)
          if (sizeBytes > answerBytesMax) response.destroy(new Error('the answer is too long'))
        })
        response.on('error', (error) => fail(error.message, error))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(pieces) }),
        )
      },
    )
    asking.on('error', (error) => fail(whyOf(error), error))
    asking.end(body)
  })
}

function tlsOf(assurance: Assurance): object {
  const minVersion = 'TLSv1.3'
  if (assurance.kind === 'none') return { minVersion, rejectUnauthorized: false }
  const { clusterId } = assurance
  const checkServerIdentity = (_host: string, shown: PeerCertificate): Error | undefined => {
    const why = whyNot(shown, { role: 'conclave-master', clusterId })
    return why === undefined ? undefined : new LinkRefused(why)
  }
  return assurance.kind === 'pinned'
    ? { minVersion, ca: assurance.rootPem, rejectUnauthorized: true, checkServerIdentity }
    : { ...tlsOptions(assurance.identity), checkServerIdentity }
}

const whyOf = (error: Error): string => {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'no answer in time'
  return error instanceof LinkRefused
    ? error.message
    : ((error as { code?: string }).code ?? 'the connection broke')
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
