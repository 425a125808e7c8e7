import {
  createHmac,
  createPrivateKey,
  sign,
  timingSafeEqual,
  verify,
  X509Certificate,
} from 'node:crypto'

import { ConclaveError, wipe, type RedactedBytes } from '@conclave/kernel'
import { whyNot, type TlsIdentity } from '@conclave/runtime'

/** What shows that a statement is of the member that it names. Base64, and a certificate as PEM. */
export interface Proof {
  readonly signature: string
  readonly certificate?: string | undefined
}

/** How members of one group know each other, where anybody may write to the wire. */
export interface Credentials {
  prove(statement: Uint8Array): Proof
  /** Why `proof` does not show that `statement` is of `id`, in words for a log; undefined if it does. */
  doubt(id: string, statement: Uint8Array, proof: Proof): string | undefined
}

/** Shorter keys could be guessed. */
const sharedKeyBytesMin = 32

/** A key that members of a group share is too short. */
export class SharedKeyTooShort extends ConclaveError {
  readonly code = 'peer-redis.shared-key-too-short'

  constructor(bytes: number) {
    super(`a key of ${bytes} bytes is too short: draw ${sharedKeyBytesMin} at random`)
  }
}

/**
 * As on the links over TLS: a member signs with the key of its certificate, which the cluster's
 * authority has signed for its id and role.
 */
export function certificateCredentials(clusterId: string, identity: TlsIdentity): Credentials {
  const pem = Buffer.from(identity.privateKey.reveal())
  const key = createPrivateKey(pem)
  wipe(pem)
  const authorities = certificatesIn(identity.authorityPem)
  return {
    prove: (statement) => ({
      certificate: identity.certificatePem,
      signature: sign('sha256', statement, key).toString('base64'),
    }),
    doubt: (id, statement, proof) => {
      const [certificate, ...behind] = shownIn(proof.certificate)
      if (certificate === undefined) return 'it shows no certificate'
      // A new root that one of ours has certified: it may have begun before we have heard of it.
      const certified = behind.filter((one) => one.ca && isNow(one) && isIssuedBy(authorities, one))
      if (!isIssuedBy([...authorities, ...certified], certificate)) {
        return 'its certificate is not of our authority'
      }
      if (!isNow(certificate)) return 'its certificate has expired, or is not valid yet'
      const { subject } = certificate.toLegacyObject()
      const named = { subject } as Parameters<typeof whyNot>[0]
      const why = whyNot(named, { role: 'conclave-master', clusterId, id })
      if (why !== undefined) return why
      const signature = Buffer.from(proof.signature, 'base64')
      return verify('sha256', statement, certificate.publicKey, signature)
        ? undefined
        : 'its signature is not of the key in its certificate'
    },
  }
}

/**
 * For groups without an authority: whoever has the key is taken for whichever member it says it is.
 *
 * @param key at least 32 random bytes
 * @throws SharedKeyTooShort
 */
export function sharedKeyCredentials(key: RedactedBytes): Credentials {
  const { length } = key.reveal()
  if (length < sharedKeyBytesMin) throw new SharedKeyTooShort(length)
  const mac = (statement: Uint8Array): Buffer =>
    createHmac('sha256', key.reveal()).update(statement).digest()
  return {
    prove: (statement) => ({ signature: mac(statement).toString('base64') }),
    doubt: (_id, statement, proof) => {
      const given = Buffer.from(proof.signature, 'base64')
      const wanted = mac(statement)
      return given.length === wanted.length && timingSafeEqual(given, wanted)
        ? undefined
        : 'it does not have our key'
    },
  }
}

/** More than one while the authority is being replaced. */
function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

const isIssuedBy = (
  authorities: readonly X509Certificate[],
  certificate: X509Certificate,
): boolean =>
  authorities.some(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  )

/** What somebody shows, who may show anything. */
function shownIn(pem: string | undefined): readonly X509Certificate[] {
  try {
    return certificatesIn(pem ?? '').slice(0, 3)
  } catch {
    return []
  }
}

function isNow({ validFrom, validTo }: X509Certificate): boolean {
  const nowMs = Date.now()
  return Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo)
}
