import type { ContainerExit, Exec, ExecHow, OutputChunk } from '@conclave/actors'
import { ConclaveError, wipe } from '@conclave/kernel'
import { FileSystemError, type Credentials } from '@conclave/shell'
import { copyExitCodes, CopyRefused, type ArchiveFormat, type ArchiveLimits } from './archive.ts'
import { entriesAt, factsOf, layEntries } from './copied-files.ts'
import type { MemoryFileSystem } from './memory-file-system.ts'

type ArchiveWanted = NonNullable<ExecHow['archive']>

export interface CopyPlace {
  /** The container's, without what is bound in it. */
  readonly files: MemoryFileSystem
  readonly archives: ArchiveFormat
  readonly user: Credentials
}

/** More than fits into a container. */
const limits: ArchiveLimits = { sizeBytesMax: 16 * 1_048_576, entriesMax: 16_384 }
/** As it comes: packed it is smaller, but small files have large headers. */
const inputBytesMax = limits.sizeBytesMax + 1_048_576
const chunkBytesMax = 48 * 1024
const sliceMs = 8

const killed: ContainerExit = { exitCode: 137, signal: 'KILL' }

/** Files of a container on their way in or out, in the place of a program: see `ExecHow.archive`. */
export class Copy implements Exec {
  readonly exit: Promise<ContainerExit>
  readonly #wanted: ArchiveWanted
  readonly #place: CopyPlace
  readonly #onEnd: () => void
  readonly #whole = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<ContainerExit>()
  #input: Uint8Array[] = []
  #inputBytes = 0
  #isOver = false

  constructor(wanted: ArchiveWanted, place: CopyPlace, onEnd: () => void) {
    this.#wanted = wanted
    this.#place = place
    this.#onEnd = onEnd
    this.exit = this.#ended.promise
  }

  async *output(signal: AbortSignal): AsyncGenerator<OutputChunk> {
    const giveUp = (): void => this.#end(killed)
    signal.addEventListener('abort', giveUp)
    try {
      for await (const bytes of this.#copied()) {
        if (this.#isOver) return
        yield { stream: 'stdout', bytes }
      }
      this.#end({ exitCode: 0 })
    } catch (error) {
      if (this.#isOver) return
      if (!(error instanceof ConclaveError)) throw error
      yield { stream: 'stderr', bytes: Buffer.from(error.message) }
      this.#end({ exitCode: exitCodeOf(error) })
    } finally {
      signal.removeEventListener('abort', giveUp)
      this.#end(killed)
    }
  }

  write(bytes: Uint8Array): void {
    this.#inputBytes += bytes.length
    if (this.#isOver || this.#inputBytes > inputBytesMax) return
    this.#input.push(bytes.slice())
  }

  /** All of it is kept, up to a bound: nobody has to wait. */
  async taken(): Promise<void> {}

  endInput(): void {
    this.#whole.resolve()
  }

  resize(): void {}

  signal(): void {
    this.#end(killed)
  }

  async *#copied(): AsyncGenerator<Uint8Array> {
    const { files, archives } = this.#place
    const { do: what, path } = this.#wanted
    if (what === 'unpack') {
      await this.#unpack()
      return
    }
    yield Buffer.from(`${JSON.stringify(factsOf(files, path))}\n`)
    if (what === 'stat') return
    for await (const bytes of archives.pack(entriesAt(files, path))) {
      for (let at = 0; at < bytes.length; at += chunkBytesMax) {
        yield bytes.subarray(at, at + chunkBytesMax)
      }
    }
  }

  async #unpack(): Promise<void> {
    await this.#whole.promise
    if (this.#isOver) return
    if (this.#inputBytes > inputBytesMax) {
      throw new CopyRefused('failed', `the archive has more than ${inputBytesMax} bytes`)
    }
    const { files, archives, user } = this.#place
    const { path, keepsKinds = false, isForUser = false } = this.#wanted
    const archive = Buffer.concat(this.#input)
    this.#forgetInput()
    try {
      const entries = await archives.entriesOf(archive, limits)
      // The container may have ended meanwhile, and been overwritten.
      if (this.#isOver) return
      const laying = { keepsKinds, owner: isForUser ? user : undefined }
      await inSlices(layEntries(files, path, entries, laying), () => this.#isOver)
    } finally {
      wipe(archive)
    }
  }

  #end(exit: ContainerExit): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#whole.resolve()
    this.#forgetInput()
    this.#onEnd()
    this.#ended.resolve(exit)
  }

  #forgetInput(): void {
    for (const bytes of this.#input) wipe(bytes)
    this.#input = []
  }
}

/** Between them others have their turn. */
async function inSlices(work: Generator<void>, isOver: () => boolean): Promise<void> {
  let began = performance.now()
  while (work.next().done !== true) {
    if (performance.now() - began < sliceMs) continue
    await new Promise((resolve) => setImmediate(resolve))
    if (isOver()) return
    began = performance.now()
  }
}

function exitCodeOf(error: ConclaveError): number {
  if (error instanceof CopyRefused) return error.exitCode
  const isMissing = error instanceof FileSystemError && error.posix === 'ENOENT'
  return isMissing ? copyExitCodes.missing : copyExitCodes.failed
}
