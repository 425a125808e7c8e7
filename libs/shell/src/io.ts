import { byteString, bytesOf, type ByteString } from './byte-string.ts'
import { FileSystemError } from './file-system.ts'
import type { Process } from './kernel.ts'
import { signal } from './signals.ts'
import { WaitSet, type Task } from './wait-set.ts'

/** How much is read at once. */
export const chunkSizeBytes = 8192

/**
 * Reads up to `length` bytes from a descriptor of the process, waiting for the first of them. None
 * means the end.
 */
export function* readSome(
  process: Process,
  number: number,
  length = chunkSizeBytes,
): Task<Uint8Array> {
  for (;;) {
    const description = process.descriptions[number]
    if (description === undefined) throw new FileSystemError('EBADF')
    const result = description.read(length)
    if (!(result instanceof WaitSet)) return result
    yield result
  }
}

/**
 * Reads up to and with the next newline from a descriptor of the process, or what of a line is there;
 * nothing of what follows is taken. An empty answer means the end.
 */
export function* readLine(process: Process, number: number): Task<ByteString> {
  for (;;) {
    const description = process.descriptions[number]
    if (description === undefined) throw new FileSystemError('EBADF')
    const result = description.readLine()
    if (!(result instanceof WaitSet)) return byteString(result)
    yield result
  }
}

/** Writes what can be written at once, and answers how many bytes that were. */
export function writeNow(process: Process, number: number, bytes: Uint8Array): number {
  const description = process.descriptions[number]
  if (description === undefined) throw new FileSystemError('EBADF')
  if (bytes.length === 0) return 0
  try {
    const taken = description.write(bytes)
    return taken instanceof WaitSet ? 0 : taken
  } catch (refusal) {
    throw brokenPipe(process, refusal)
  }
}

/** Writes all of `bytes`, waiting for room. */
export function* writeAll(process: Process, number: number, bytes: Uint8Array): Task<void> {
  let rest = bytes
  while (rest.length > 0) {
    const description = process.descriptions[number]
    if (description === undefined) throw new FileSystemError('EBADF')
    try {
      const taken = description.write(rest)
      if (taken instanceof WaitSet) yield taken
      else rest = taken === rest.length ? noBytes : rest.subarray(taken)
    } catch (refusal) {
      const broken = brokenPipe(process, refusal)
      // A process that does not ignore SIGPIPE ends in this pause.
      if (process.killedBy !== 0) yield
      throw broken
    }
  }
}

/** Writes a message on standard error. Where that is closed or full, nobody hears it, and that is all. */
export function* writeComplaint(process: Process, text: ByteString): Task<void> {
  try {
    yield* writeAll(process, 2, bytesOf(text))
  } catch (refusal) {
    if (!(refusal instanceof FileSystemError)) throw refusal
  }
}

const noBytes = new Uint8Array(0)

function brokenPipe(process: Process, refusal: unknown): unknown {
  if (refusal instanceof FileSystemError && refusal.posix === 'EPIPE') {
    process.kernel.signal(process, signal.pipe)
  }
  return refusal
}
