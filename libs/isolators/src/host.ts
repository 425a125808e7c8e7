import { ConclaveError, type RedactedBytes } from '@conclave/kernel'
import type { ImageWanted } from './image.ts'
import type { UriWanted } from './uri.ts'
import type { Owner } from './plan.ts'

/** A machine could not do what a plan says. Names places, never contents. */
export class HostFailed extends ConclaveError {
  readonly code = 'host.failed'
}

/**
 * The port: what isolators need of a machine, for one container of it that has not started yet. A host
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
   * @param mustExist makes nothing: there has to be a file at that path
   * @throws HostFailed when there is no such file, or a directory at that path
   */
  bindFile(name: string, at: string, isReadOnly: boolean, mustExist?: boolean): Promise<void>
  setEnv(name: string, value: string | RedactedBytes): Promise<void>

  clearEnv(): Promise<void>
  /** Harmless when nothing is bound there. */
  unbindFile(at: string): Promise<void>
  /** Overwrites every file of the tmpfs and drops it. Harmless when there is none. */
  unmountTmpfs(): Promise<void>
}
