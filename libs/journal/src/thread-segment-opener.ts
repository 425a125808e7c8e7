import { Worker } from 'node:worker_threads'
import { playBack } from './opened-records.ts'
import type { OpenedThere, ToBeOpened } from './opener-thread.ts'
import {
  LocalSegmentOpener,
  OpenerLost,
  type OpenedSegment,
  type SegmentOpener,
} from './segment-opener.ts'
import type { Segment } from './segment.ts'

/** Less is opened in half a second, and a thread leaves some memory with its process: not worth it then. */
const journalSizeBytesMin = 64 * 1024 * 1024

const openerFile = new URL('opener-thread.ts', import.meta.url)

/** What the thread has before it when a segment is better opened here: else who plays back would wait for it. */
const waitingCountMax = 2

interface Waiting {
  readonly file: string
  readonly sizeBytes: number
  readonly resolve: (opened: OpenedSegment) => void
  readonly reject: (error: Error) => void
}

/** For so many segments: on a thread of its own, when they are worth it. */
export const openOnThread = (segmentCount: number): SegmentOpener =>
  new ThreadSegmentOpener(segmentCount)

/**
 * Opens segments on a thread of its own while others are played back, or opened, here: a recovery has two
 * processors. The journal's key stays here; what goes there is a handle of the key of one segment.
 */
export class ThreadSegmentOpener implements SegmentOpener {
  readonly aheadCount = 3
  readonly #here = new LocalSegmentOpener()
  readonly #segmentCount: number
  readonly #sizeBytesMin: number
  readonly #file: URL
  #worker: Worker | undefined
  /** Answered in the order in which they were asked. */
  #waiting: Waiting[] = []
  #failure: Error | undefined

  constructor(segmentCount: number, sizeBytesMin = journalSizeBytesMin, file = openerFile) {
    this.#segmentCount = segmentCount
    this.#sizeBytesMin = sizeBytesMin
    this.#file = file
  }

  open(segment: Segment, bytes: Uint8Array, isLast: boolean): Promise<OpenedSegment> {
    const isSmall = bytes.length * this.#segmentCount < this.#sizeBytesMin
    if (isSmall || this.#waiting.length >= waitingCountMax) return this.#here.open(segment, bytes)
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      const own = ownMemory(bytes)
      const asked: ToBeOpened = { ...segment, key: segment.key.handle(), bytes: own, isLast }
      this.#waiting.push({ file: segment.name, sizeBytes: own.length, resolve, reject })
      this.#running()?.postMessage(asked, [own.buffer])
    })
  }

  async close(): Promise<void> {
    this.#fail(new Error('segments are not opened any more'))
    await this.#worker?.terminate()
  }

  /** Undefined: there is no memory for a thread, or they are used up. */
  #running(): Worker | undefined {
    try {
      this.#worker ??= this.#start()
    } catch (error) {
      this.#fail(new OpenerLost(error instanceof Error ? error.message : 'no thread'))
    }
    return this.#worker
  }

  #start(): Worker {
    const worker = new Worker(this.#file, {
      // It keeps nothing, and what it makes is to be found soon.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    })
    worker.on('message', (opened: OpenedThere) => {
      // Nobody waits for what still comes after the end.
      const waiting = this.#waiting.shift()
      waiting?.resolve(openedSegment(waiting, opened))
    })
    worker.on('error', ({ message }: Error) => this.#fail(new OpenerLost(message)))
    worker.on('exit', () => this.#fail(new OpenerLost('the thread that opens segments has ended')))
    return worker
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting) reject(this.#failure)
    this.#waiting = []
  }
}

const openedSegment = ({ file, sizeBytes }: Waiting, opened: OpenedThere): OpenedSegment => ({
  bytes: opened.bytes,
  sizeBytes,
  read: (onRecord) => playBack(file, opened, onRecord),
})

/** Memory that nobody else has a part of: it goes to the other thread as a whole. */
function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
  return isWhole ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(bytes)
}
