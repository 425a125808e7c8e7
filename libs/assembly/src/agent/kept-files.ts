import type { FetchedFile } from '@conclave/isolators'

interface KeptFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** As many containers as keep their output, and no more than a lesson needs. */
const containersMax = 64
const sizeBytesMax = 8 * 1_048_576

/**
 * What was fetched into sandboxes, kept after their containers' end as Mesos keeps it on its disks: for
 * teaching what becomes of credentials that are fetched from URIs. The newest containers' alone.
 */
export class KeptFiles {
  readonly #files = new Map<string, readonly KeptFile[]>()
  #sizeBytes = 0

  readonly add = (containerId: string, fetched: readonly FetchedFile[]): void => {
    const files = fetched.flatMap((file) => (file.kind === 'file' ? [file] : []))
    const kept = [...(this.#files.get(containerId) ?? []), ...files]
    this.#files.delete(containerId)
    this.#files.set(containerId, kept)
    this.#sizeBytes += sizeOf(files)
    for (const [oldest, one] of this.#files) {
      if (this.#files.size <= containersMax && this.#sizeBytes <= sizeBytesMax) break
      this.#files.delete(oldest)
      this.#sizeBytes -= sizeOf(one)
    }
  }

  readonly of = (containerId: string): readonly KeptFile[] => this.#files.get(containerId) ?? []
}

const sizeOf = (files: readonly KeptFile[]): number =>
  files.reduce((sum, { bytes }) => sum + bytes.length, 0)
