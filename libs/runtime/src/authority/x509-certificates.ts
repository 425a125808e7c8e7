import type { Certificates, CertificateWanted, RootAuthority } from '@conclave/actors'
import type { Clock, Random } from '@conclave/kernel'

import { createAuthority, crossSign, signRequest } from './authority.ts'
import { validityOf } from './certificate.ts'

/** The authority's work, as masters ask for it. */
export class X509Certificates implements Certificates {
  readonly #ports: { readonly clock: Clock; readonly random: Random }

  constructor(ports: { readonly clock: Clock; readonly random: Random }) {
    this.#ports = ports
  }

  createRoot(clusterId: string): Promise<RootAuthority> {
    return createAuthority({ clusterId, ...this.#ports })
  }

  crossSign(root: RootAuthority, nextPem: string): Promise<string> {
    return crossSign(root, nextPem, this.#ports)
  }

  sign(
    root: RootAuthority,
    requestPem: string,
    { role, ...wanted }: CertificateWanted,
  ): Promise<string> {
    return signRequest(root, requestPem, { ...wanted, role: `conclave-${role}` }, this.#ports)
  }

  untilMs(certificatePem: string): number {
    return validityOf(certificatePem).untilMs
  }
}
