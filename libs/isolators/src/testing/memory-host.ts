import { Redacted, utf8, wipe, type RedactedBytes } from '@conclave/kernel'
import { HostFailed, type Binding, type Host } from '../host.ts'
import type { UriWanted } from '../uri.ts'
import type { ImageWanted } from '../image.ts'
import { wholePages } from '../limits.ts'
import type { Owner } from '../plan.ts'

export interface SeenFile {
  readonly bytes: Uint8Array
  readonly mode: number
  readonly owner: Owner
  readonly isReadOnly: boolean
}

interface TmpfsFile {
  readonly bytes: Uint8Array
  readonly mode: number
  readonly owner: Owner
}

/** The twin of {@link Host}: maps, and a step to fail at when the test wants to see what is left. */
export class MemoryHost implements Host {
  /** Every buffer that was ever copied here: overwritten ones hold zeroes. */
  readonly copies: Uint8Array[] = []
  /** The number of the call that fails, counted from 1. */
  failsAtCall = 0
  #calls = 0
  #tmpfs: { readonly sizeBytes: number; readonly files: Map<string, TmpfsFile> } | undefined
  /** Names of the images that were laid down. */
  readonly images: string[] = []
  /** Names of the files that URIs were fetched to. */
  readonly fetched: string[] = []
  /** What the container's output begins with. */
  readonly printed: string[] = []
  readonly #bound = new Map<string, { readonly name: string; readonly isReadOnly: boolean }>()
  readonly #environment = new Map<string, Uint8Array>()

  /** What the container finds at `at`. */
  seen(at: string): SeenFile | undefined {
    const bind = this.#bound.get(at)
    const file = bind === undefined ? undefined : this.#tmpfs?.files.get(bind.name)
    return file === undefined || bind === undefined
      ? undefined
      : { ...file, isReadOnly: bind.isReadOnly }
  }

  variable(name: string): Uint8Array | undefined {
    return this.#environment.get(name)
  }

  get isEmpty(): boolean {
    return this.#tmpfs === undefined && this.#bound.size === 0 && this.#environment.size === 0
  }

  async provisionImage({ name, dockerConfig }: ImageWanted): Promise<void> {
    this.#count()
    if (dockerConfig !== undefined) this.#copy(dockerConfig).fill(0)
    this.images.push(name)
  }

  async fetchUri({ outputFile, secrets }: UriWanted): Promise<void> {
    this.#count()
    for (const secret of Object.values(secrets)) {
      if (secret instanceof Redacted) this.#copy(secret).fill(0)
    }
    this.fetched.push(outputFile)
  }

  async mountTmpfs(sizeBytes: number): Promise<void> {
    this.#count()
    if (this.#tmpfs !== undefined) throw new HostFailed('the container has a tmpfs already')
    this.#tmpfs = { sizeBytes, files: new Map() }
  }

  async writeFile(name: string, bytes: RedactedBytes, mode: number, owner: Owner): Promise<void> {
    this.#count()
    const tmpfs = this.#tmpfs
    if (tmpfs === undefined) throw new HostFailed('the container has no tmpfs')
    if (tmpfs.files.has(name)) throw new HostFailed(`there is a file ${name} in the tmpfs`)
    const used = tmpfs.files.values().reduce((sum, file) => sum + wholePages(file.bytes.length), 0)
    if (used + wholePages(bytes.reveal().length) > tmpfs.sizeBytes) {
      throw new HostFailed('no space left on the tmpfs')
    }
    tmpfs.files.set(name, { bytes: this.#copy(bytes), mode, owner })
  }

  async replaceFile(name: string, bytes: RedactedBytes): Promise<void> {
    this.#count()
    const before = this.#tmpfs?.files.get(name)
    if (before === undefined) throw new HostFailed(`there is no file ${name} in the tmpfs`)
    this.#tmpfs?.files.set(name, { ...before, bytes: this.#copy(bytes) })
    wipe(before.bytes)
  }

  async bindFile(name: string, at: string, { isReadOnly, mustExist }: Binding): Promise<void> {
    this.#count()
    if (mustExist === true) throw new HostFailed(`Absolute container path '${at}' does not exist`)
    if (this.#tmpfs?.files.has(name) !== true) throw new HostFailed(`no file ${name} to bind`)
    if (at === '/') throw new HostFailed('there is a directory at /')
    this.#bound.set(at, { name, isReadOnly })
  }

  async print(line: string): Promise<void> {
    this.#count()
    this.printed.push(line)
  }

  async setEnv(name: string, value: string | RedactedBytes): Promise<void> {
    this.#count()
    this.#environment.set(name, value instanceof Redacted ? this.#copy(value) : utf8(value))
  }

  async clearEnv(): Promise<void> {
    for (const bytes of this.#environment.values()) wipe(bytes)
    this.#environment.clear()
  }

  async unbindFile(at: string): Promise<void> {
    this.#bound.delete(at)
  }

  async unmountTmpfs(): Promise<void> {
    for (const { bytes } of this.#tmpfs?.files.values() ?? []) wipe(bytes)
    this.#tmpfs = undefined
  }

  #count(): void {
    if (++this.#calls === this.failsAtCall) throw new HostFailed('this call was to fail')
  }

  #copy(bytes: RedactedBytes): Uint8Array {
    const copy = bytes.reveal().slice()
    this.copies.push(copy)
    return copy
  }
}
