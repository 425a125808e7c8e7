/** One open file. Positions and sizes are in bytes. */
export interface DiskFile {
  /** Writes all of `bytes` at `position`. They are in the cache; {@link sync} makes them durable. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  /** Resolves when content and size are on the platter. After an error nothing is known about either. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** One file that is only read. What was open stays readable, whatever becomes of its name. */
export interface DiskReader {
  readonly sizeBytes: number
  /** The bytes at `position`: `length` of them, or fewer where the file ends. */
  read(position: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

/**
 * The port: what the journal needs of a machine's disk. Names are durable only after
 * {@link syncDirectory}, content only after {@link DiskFile.sync}; a crash in between keeps any part.
 */
export interface Disk {
  /** Makes `path` and its parents, for the owner alone. Harmless when it is there. */
  makeDirectory(path: string): Promise<void>
  /**
   * Takes the directory for this process until released. A lock whose process is gone is taken over.
   *
   * @throws JournalLocked when somebody else has it
   */
  lock(directory: string): Promise<DiskLock>
  /** Names in `directory`, in no particular order. */
  list(directory: string): Promise<readonly string[]>
  read(path: string): Promise<Uint8Array>
  /** An existing file, for reading a part of it at a time. */
  openToRead(path: string): Promise<DiskReader>
  /** A new file for the owner alone. It must not exist. */
  create(path: string): Promise<DiskFile>
  /** An existing file, for writing. */
  open(path: string): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

export interface DiskLock {
  release(): Promise<void>
}
