import type { RedactedBytes } from '@conclave/kernel'
import type { LeftFiles, LeftPath } from '../agent/leaks/left-file.ts'

/** The twin of a disk that an agent leaves files on. */
export class MemoryLeftFiles implements LeftFiles {
  readonly files = new Map<string, { readonly bytes: Uint8Array; readonly mode: number }>()

  write(at: LeftPath, bytes: RedactedBytes, mode: number): void {
    this.files.set(at.join('/'), { bytes: bytes.reveal().slice(), mode })
  }

  remove(at: LeftPath): void {
    const path = at.join('/')
    for (const known of this.files.keys()) {
      if (known === path || known.startsWith(`${path}/`)) this.files.delete(known)
    }
  }

  get paths(): readonly string[] {
    return [...this.files.keys()].toSorted()
  }
}
