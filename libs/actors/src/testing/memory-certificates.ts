import { Redacted, utf8, utf8Text, type Clock } from '@conclave/kernel'
import type { RedactedBytes } from '@conclave/kernel'
import type { Certificates, CertificateWanted, RootAuthority } from '../ports.ts'

/** The root that every memory cluster is founded with. */
export const memoryRootPem = 'root 1\n'
/** Looked for by leak searches: it must never be found. */
export const memoryRootKeyText = 'canary-root-key-5b1c2f0e9d'
export const memoryRootKey = (): RedactedBytes => new Redacted(utf8(memoryRootKeyText))

/** Certificates that say what they are in plain words, for tests of who may have one. */
export class MemoryCertificates implements Certificates {
  readonly #clock: Clock
  #roots = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async createRoot(clusterId: string): Promise<RootAuthority> {
    const number = ++this.#roots
    return {
      clusterId,
      certificatePem: `root ${number}\n`,
      privateKey: new Redacted(utf8(`${memoryRootKeyText}-${number}`)),
    }
  }

  async crossSign({ certificatePem }: RootAuthority, nextPem: string): Promise<string> {
    return `${nextPem.trim()} by ${certificatePem}`
  }

  async sign(
    { certificatePem, privateKey }: RootAuthority,
    requestPem: string,
    { id, role, hosts, validityMs }: CertificateWanted,
  ): Promise<string> {
    if (!requestPem.startsWith('request')) throw new Error('no request')
    if (!utf8Text(privateKey.reveal()).startsWith(memoryRootKeyText)) throw new Error('wrong key')
    const untilMs = this.#clock.nowMs() + validityMs
    return `${role} ${id} until ${untilMs} at ${hosts.join(',')} by ${certificatePem}`
  }

  untilMs(certificatePem: string): number {
    return Number(/until (\d+)/.exec(certificatePem)?.[1] ?? 0)
  }
}
