import { hash } from 'node:crypto'
import * as fs from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import { ConclaveError } from '@conclave/kernel'

import { syncDirectory } from './whole-file.ts'

/*
 * docs/formats/audit-log.md. One line per record: {"seq":N,"prev":"<hex>","record":{…}} and a newline. `prev` is the SHA-256 of
 * the line before, without its newline; 64 zeroes in the first one. So a line that was changed, taken
 * out, put in or moved breaks the chain behind it. The last line has nothing behind it, and neither
 * have lines cut from the end: for those, keep `head` somewhere else.
 */

/**
 * Where a write returns only when it is on the disk, one trip there does what write and fdatasync do.
 * Elsewhere that flag is missing, or does not reach the platter (macOS).
 */
const writesThrough = process.platform === 'linux'
const { O_APPEND, O_CREAT, O_DSYNC, O_RDWR } = fs.constants
const openFlags = O_RDWR | O_APPEND | O_CREAT | (writesThrough ? O_DSYNC : 0)

const newline = 0x0a
const noHash = '0'.repeat(64)
const shape = /^\{"seq":(\d{1,15}),"prev":"([0-9a-f]{64})","record":\{.*\}\}$/s

/** The record is not on disk: whatever it would have allowed must not happen. */
export class AuditUnavailable extends ConclaveError {
  readonly code = 'audit.unavailable'

  constructor(cause: unknown) {
    super('the audit log cannot be written', { cause })
  }
}

/** The file is not what this log has written. */
export class AuditBroken extends ConclaveError {
  readonly code = 'audit.broken'

  constructor(file: string, { line, why }: AuditBreak) {
    super(`${file} is broken at line ${line}: ${why}. Move it away and keep it as evidence`)
  }
}

/** How many lines there are, and the hash of the last one. */
export interface AuditHead {
  readonly lines: number
  readonly hash: string
}

export interface AuditBreak {
  /** Counts from 1. */
  readonly line: number
  readonly why: string
}

export type AuditVerdict =
  | { readonly isWhole: true; readonly head: AuditHead }
  | { readonly isWhole: false; readonly break: AuditBreak }

/** The port: an append-only file on some disk. */
export interface AuditDisk {
  /** Writes all of `bytes` at the end. */
  append(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** What is written to the disk at once. All of it is durable or none, so one promise says so. */
interface Batch {
  readonly lines: string[]
  readonly written: PromiseWithResolvers<void>
}

/** The end of an audit file. Appends that come while the disk works share the next fsync. */
export class AuditLog {
  readonly #disk: AuditDisk
  #lines: number
  #hash: string
  #durable: AuditHead
  #waiting: Batch | undefined
  #working: Promise<void> | undefined
  #failure: AuditUnavailable | undefined
  readonly #failed = Promise.withResolvers<AuditUnavailable>()

  constructor(disk: AuditDisk, head: AuditHead = { lines: 0, hash: noHash }) {
    this.#disk = disk
    this.#lines = head.lines
    this.#hash = head.hash
    this.#durable = head
  }

  /** Resolves when the disk fails: nothing is put on record any more. */
  get failed(): Promise<AuditUnavailable> {
    return this.#failed.promise
  }

  /** The last line that is surely on disk. */
  get head(): AuditHead {
    return this.#durable
  }

  /**
   * Resolves once `record` is durable. It must not hold a secret's value.
   *
   * @throws AuditUnavailable for ever after the disk failed once: what a failed fsync has left behind
   * is unknown until the file is read again
   */
  append(record: object): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)

    const seq = ++this.#lines
    const text = `{"seq":${seq},"prev":"${this.#hash}","record":${JSON.stringify(record)}}`
    this.#hash = hash('sha256', text)
    this.#waiting ??= { lines: [], written: Promise.withResolvers() }
    this.#waiting.lines.push(text)
    this.#working ??= this.#work()
    return this.#waiting.written.promise
  }

  /** Waits for what was appended. Later appends are refused. */
  async close(): Promise<void> {
    await this.#working
    this.#failure ??= new AuditUnavailable(new Error('the log is closed'))
    await this.#disk.close()
  }

  async #work(): Promise<void> {
    // Whatever else comes in this turn of the event loop goes into the same write.
    await new Promise(setImmediate)
    while (this.#waiting !== undefined && this.#failure === undefined) {
      const { lines, written } = this.#waiting
      const head = { lines: this.#lines, hash: this.#hash }
      this.#waiting = undefined
      try {
        await this.#disk.append(Buffer.from(`${lines.join('\n')}\n`))
        await this.#disk.sync()
      } catch (cause) {
        this.#fail(new AuditUnavailable(cause), written)
        break
      }
      this.#durable = head
      written.resolve()
    }
    this.#working = undefined
  }

  #fail(failure: AuditUnavailable, written: PromiseWithResolvers<void>): void {
    this.#failure = failure
    this.#failed.resolve(failure)
    written.reject(failure)
    this.#waiting?.written.reject(failure)
    this.#waiting = undefined
  }
}

/**
 * Opens or creates the audit log in `file` (0600), and checks all of it. A last line without its
 * newline was never acknowledged: it is cut off.
 *
 * @throws AuditBroken when anything else is wrong with it
 */
export async function openAuditLog(file: string): Promise<AuditLog> {
  const handle = await open(file, openFlags, 0o600)
  try {
    const { verdict, wholeBytes } = await read(file)
    if (!verdict.isWhole) throw new AuditBroken(file, verdict.break)
    await handle.truncate(wholeBytes)
    await handle.sync()
    await syncDirectory(dirname(file))
    return new AuditLog(diskOf(handle), verdict.head)
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Says where the chain in `file` breaks, if it does. With `expected`, a head kept elsewhere, also
 * whether the last line was changed or lines were cut from the end.
 */
export async function verifyAuditLog(file: string, expected?: AuditHead): Promise<AuditVerdict> {
  const { verdict, tornBytes, hashes } = await read(file, expected?.lines)
  if (!verdict.isWhole) return verdict
  const { lines } = verdict.head
  if (tornBytes > 0) return broken(lines + 1, 'the line has no end')
  if (expected === undefined) return verdict
  if (lines < expected.lines) return broken(lines + 1, `${expected.lines} lines were expected`)
  return hashes === expected.hash ? verdict : broken(expected.lines, 'not the line expected here')
}

const broken = (line: number, why: string): AuditVerdict => ({
  isWhole: false,
  break: { line, why },
})

interface Reading {
  readonly verdict: AuditVerdict
  readonly wholeBytes: number
  readonly tornBytes: number
  /** The hash of the line that was asked for. */
  readonly hashes: string | undefined
}

async function read(file: string, hashOfLine = 0): Promise<Reading> {
  const chain = new Chain(hashOfLine)
  let rest = Buffer.alloc(0)
  let wholeBytes = 0
  let verdict: AuditVerdict | undefined
  for await (const chunk of fs.createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer])
    let from = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, from)) {
      const why = chain.add(bytes.subarray(from, end))
      if (why !== undefined) verdict ??= broken(chain.head.lines + 1, why)
      if (verdict !== undefined) break
      wholeBytes += end + 1 - from
      from = end + 1
    }
    if (verdict !== undefined) break
    rest = bytes.subarray(from)
  }
  verdict ??= { isWhole: true, head: chain.head }
  return { verdict, wholeBytes, tornBytes: rest.length, hashes: chain.hashAsked }
}

/** Follows the chain line by line. */
class Chain {
  readonly #asked: number
  #head: AuditHead = { lines: 0, hash: noHash }
  #hashAsked: string | undefined

  constructor(asked: number) {
    this.#asked = asked
    if (asked === 0) this.#hashAsked = noHash
  }

  get head(): AuditHead {
    return this.#head
  }

  get hashAsked(): string | undefined {
    return this.#hashAsked
  }

  /** Why `line` is not the next one; `undefined` when it is. */
  add(line: Buffer): string | undefined {
    // Read as Latin-1, hashed as bytes: broken UTF-8 must not be read as something whole.
    const [, seq, prev] = shape.exec(line.toString('latin1')) ?? []
    if (seq === undefined) return 'no record of this log'
    if (prev !== this.#head.hash) return 'the hash of the line before it is another'
    if (Number(seq) !== this.#head.lines + 1) return `it says to be number ${seq}`
    this.#head = { lines: this.#head.lines + 1, hash: hash('sha256', line) }
    if (this.#head.lines === this.#asked) this.#hashAsked = this.#head.hash
    return undefined
  }
}

const diskOf = (handle: FileHandle): AuditDisk => ({
  append: (bytes) => writeAll(handle.fd, bytes),
  sync: () => (writesThrough ? Promise.resolve() : handle.datasync()),
  close: () => handle.close(),
})

/** With callbacks: the promises of `fs` cost several times as much, and every request comes by here. */
const writeAll = (descriptor: number, bytes: Uint8Array): Promise<void> =>
  new Promise((done, fail) => {
    const from = (start: number): void => {
      fs.write(descriptor, bytes, start, bytes.length - start, null, (error, written) => {
        if (error !== null) fail(error)
        else if (start + written < bytes.length) from(start + written)
        else done()
      })
    }
    from(0)
  })
