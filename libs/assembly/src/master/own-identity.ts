import type { EnrolmentApi, EventLog, Shown, Trust } from '@conclave/actors'
import { uuid, type Clock, type Random } from '@conclave/kernel'
import { certificatesIn, rootOf, validityOf, type Log, type TlsIdentity } from '@conclave/runtime'
import { hostsIn, IdentityKeeper } from '../join/identity-keeper.ts'
import { authorityFingerprint } from '@conclave/crypto'

export interface OwnIdentityOptions {
  readonly masterId: string
  readonly directory: string
  readonly identity: TlsIdentity
  readonly enrolment: EnrolmentApi
  readonly onIdentity: (identity: TlsIdentity) => void
  readonly events: EventLog
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/**
 * A master's own certificate. It has the authority's key at hand, so that it renews by itself: nobody
 * need be reached but a quorum, which says that it is still a member. Where the certificate has ended while the
 * master was down no quorum can be asked, and its own state has to do.
 */
export class OwnIdentity {
  readonly keeper: IdentityKeeper

  constructor({ masterId, enrolment, events, random, ...o }: OwnIdentityOptions) {
    this.keeper = new IdentityKeeper({
      ...o,
      id: masterId,
      random,
      renew: (present, requestPem) => {
        const hasEnded = validityOf(present.certificatePem).untilMs <= o.clock.nowMs()
        return enrolment[hasEnded ? 'renewEnded' : 'renew'](shownBy(masterId, present), {
          requestPem,
          hosts: hostsIn(present.certificatePem),
          requestId: uuid(random),
        })
      },
      confirm: (present) => enrolment.confirm(shownBy(masterId, present)),
      onRenewed: (untilMs) =>
        events.append({ type: 'certificate.renewed', memberId: masterId, untilMs }),
      onFailed: (why, attempts, untilMs) =>
        events.append({
          type: 'certificate.renewal-failed',
          memberId: masterId,
          why,
          attempts,
          untilMs,
        }),
    })
  }

  /** What this master's own state says of the authority. */
  async follow({ authorityPem, issuer }: Trust): Promise<void> {
    await this.keeper.adopt(authorityPem)
    this.keeper.told({ issuer, trust: authorityFingerprint(authorityPem) })
  }
}

const shownBy = (id: string, { certificatePem, authorityPem }: TlsIdentity): Shown => ({
  id,
  role: 'master',
  certificatePem: certificatesIn(certificatePem)[0] ?? '',
  issuerPem: rootOf(certificatePem, authorityPem),
})
