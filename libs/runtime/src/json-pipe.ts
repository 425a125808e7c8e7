import type { TLSSocket } from 'node:tls'

import { ConclaveError, InvariantViolated, utf8 } from '@conclave/kernel'

import { parseJson } from './bounded-json.ts'
import { FrameReader, FrameWriter } from './framing.ts'
import { Liveness } from './liveness.ts'
import type { Slices } from './slices.ts'

export interface JsonPipeLimits {
  readonly messageBytesMax: number
  readonly depthMax: number
  /** What may wait for somebody who reads too slowly, before the connection is given up. */
  readonly queueBytesMax: number
  /** An empty frame is sent this often, so that silence means that somebody is gone. */
  readonly pingMs: number
  readonly silenceMs: number
}

export const usualPipeLimits: JsonPipeLimits = {
  messageBytesMax: 8 * 1024 * 1024,
  depthMax: 64,
  queueBytesMax: 64 * 1024 * 1024,
  pingMs: 2000,
  silenceMs: 10_000,
}

const nothing = new Uint8Array()

/**
 * JSON messages over one connection: one frame each, in order, all of them or none that follow. An
 * empty frame says "I am still here" and is never passed on.
 */
export class JsonPipe<Sent, Received> {
  readonly #socket: TLSSocket
  readonly #writer: FrameWriter
  readonly #limits: JsonPipeLimits
  readonly #parse: (value: unknown) => Received
  readonly #onMessage: (message: Received, sizeBytes: number) => void
  readonly #liveness: Liveness
  readonly #slices: Slices | undefined
  /** Of the chunk that is being read. */
  #frames: Iterator<Uint8Array> | undefined
  #why = 'the other side hung up'
  #isPaused = false

  constructor(
    socket: TLSSocket,
    options: {
      readonly limits: JsonPipeLimits
      readonly parse: (value: unknown) => Received
      readonly onMessage: (message: Received, sizeBytes: number) => void
      readonly onClose: (why: string) => void
      /** What is read in one turn of the event loop, shared with others. Default: all there is. */
      readonly slices?: Slices | undefined
    },
  ) {
    this.#socket = socket
    this.#limits = options.limits
    this.#parse = options.parse
    this.#onMessage = options.onMessage
    this.#slices = options.slices
    this.#writer = new FrameWriter(socket)
    this.#liveness = new Liveness({
      everyMs: options.limits.pingMs,
      silenceMs: options.limits.silenceMs,
      onTurn: () => {
        if (!socket.writableEnded) this.#writer.write(nothing)
        // Who is not listened to is not silent.
        if (this.#isPaused) this.#liveness.heard()
      },
      onSilent: () => this.destroy('the other side is silent'),
    })
    const reader = new FrameReader(options.limits.messageBytesMax)
    socket.on('data', (chunk: Buffer) => this.#read(reader, chunk))
    socket.on('error', (error) => {
      this.destroy((error as { code?: string }).code ?? error.name)
    })
    socket.on('close', () => {
      this.#liveness.stop()
      options.onClose(this.#why)
    })
  }

  /** Bytes that the other side has not taken yet: who streams waits while these are many. */
  get waitingBytes(): number {
    return this.#writer.waitingBytes
  }

  send(message: Sent): void {
    if (this.#socket.destroyed) return
    if (this.#writer.waitingBytes > this.#limits.queueBytesMax) {
      this.destroy('the other side reads too slowly')
      return
    }
    this.#writer.write(utf8(JSON.stringify(message)))
  }

  /** Stops reading, but for what has arrived already: the other side's sending stops in its turn. */
  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#frames === undefined) this.#socket.resume()
  }

  /** Sends what is queued, then ends the connection. */
  close(why: string): void {
    this.#why = why
    // Or the other side's end would never be seen.
    this.#frames = undefined
    this.resume()
    this.#writer.flush()
    this.#socket.end()
    // Somebody who does not answer our end within the usual silence is cut off.
    this.#liveness.heard()
  }

  destroy(why: string): void {
    this.#why = why
    this.#socket.destroy()
  }

  #read(reader: FrameReader, chunk: Buffer): void {
    this.#liveness.heard()
    this.#frames = reader.push(chunk)
    this.#take()
  }

  /** As many frames as there is time for. Meanwhile nothing more is read. */
  #take(): void {
    try {
      for (;;) {
        const frame = this.#frames?.next()
        if (frame === undefined || frame.done === true) break
        if (this.#socket.destroyed || this.#socket.writableEnded) break
        const { value } = frame
        if (value.length > 0) this.#onMessage(this.#decode(value), value.length)
        if (this.#slices?.isSpent === true) {
          this.#socket.pause()
          this.#slices.later(() => this.#take())
          return
        }
      }
    } catch (error) {
      if (!(error instanceof ConclaveError) || error instanceof InvariantViolated) throw error
      this.destroy(`${error.code}: ${error.message}`)
    }
    this.#frames = undefined
    if (!this.#isPaused && this.#socket.isPaused()) this.#socket.resume()
  }

  #decode(frame: Uint8Array): Received {
    const value = parseJson(frame, {
      sizeBytesMax: this.#limits.messageBytesMax,
      depthMax: this.#limits.depthMax,
    })
    try {
      return this.#parse(value)
    } catch {
      // Not kept as the cause: a schema's error may repeat what it was given.
      throw new MessageRefused(typeOf(value))
    }
  }
}

/** A message that does not have the shape of its type. */
class MessageRefused extends ConclaveError {
  readonly code = 'message.refused'

  constructor(type: string) {
    super(`a message of type ${type} has not the shape of one`)
  }
}

function typeOf(value: unknown): string {
  const type = (value as { type?: unknown } | null)?.type
  return typeof type === 'string' && /^[\w-]{1,40}$/.test(type) ? type : 'unknown'
}
