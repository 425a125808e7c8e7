import { ConclaveError, type RedactedBytes } from '@conclave/kernel'
import type { ImageWanted } from './image.ts'
import type { UriWanted } from './uri.ts'
import type { Owner } from './plan.ts'

/** How a file of the tmpfs is shown in the container. */
export interface Binding {
  readonly isReadOnly: boolean
  /** Makes nothing: there has to be a file at that path. */
  readonly mustExist?: boolean | undefined
  /** What `mount` shows beside `ro` or `rw`, in place of the tmpfs's own options. */
  readonly mountOptions?: string | undefined
}

/** A machine could not do what a plan says. Names places, never contents. */
export class HostFailed extends ConclaveError {
  readonly code = 'host.failed'
}

/**
 * The port: what isolators need of a machine, for one container of it. A host
 * copies the bytes it is given and overwrites its copies when they are undone; the caller wipes its own.
 */
export interface Host {
  /**
   * Lays an image down as the container's root. What the image says of its program counts where the
   * command says nothing.
   *
   * @throws ConclaveError in words that may be shown
   */
  provisionImage(image: ImageWanted): Promise<void>
  /** Fetches a URI into the sandbox. @throws ConclaveError in words that may be shown */
  fetchUri(uri: UriWanted, owner: Owner): Promise<void>
  /** Gives the container its tmpfs. @throws HostFailed when it has one */
  mountTmpfs(sizeBytes: number, inodes: number): Promise<void>
  /** @throws HostFailed when there is no tmpfs, no room in it, or a file of that name */
  writeFile(name: string, bytes: RedactedBytes, mode: number, owner: Owner): Promise<void>
  /**
   * Shows a file of the tmpfs at an absolute path of the container, making the directories above it.
   *
   * @throws HostFailed when there is no such file, or a directory at that path
   */
  bindFile(name: string, at: string, binding: Binding): Promise<void>
  /** A line at the head of what the container prints. */
  print(line: string): Promise<void>
  setEnv(name: string, value: string | RedactedBytes): Promise<void>

  /**
   * Puts a new file in the place of a file of the tmpfs, with its mode and owner, wherever it is bound, at
   * once: who opens it reads the old bytes or the new ones, and who has it open reads the old ones to
   * their end. The tmpfs grows as it must. The old bytes are overwritten when nobody has them open.
   *
   * @throws HostFailed when there is no such file, or no room for both; then it is as it was
   */
  replaceFile(name: string, bytes: RedactedBytes): Promise<void>

  clearEnv(): Promise<void>
  /** Harmless when nothing is bound there. */
  unbindFile(at: string): Promise<void>
  /** Overwrites every file of the tmpfs and drops it. Harmless when there is none. */
  unmountTmpfs(): Promise<void>
}
