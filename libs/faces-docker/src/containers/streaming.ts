import type { SessionOutput, TaskSession } from '@conclave/actors'
import type { Duplex, Writable } from 'node:stream'
import { stdcopyFrame } from './stdcopy.ts'

/** Resolves when all of it is on its way, or nobody takes anything any more. */
export async function send(to: Writable, bytes: Uint8Array): Promise<void> {
  if (to.destroyed || to.writableEnded || bytes.length === 0) return
  if (to.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      to.off('drain', done)
      to.off('close', done)
      resolve()
    }
    to.once('drain', done)
    to.once('close', done)
  })
}

export interface Streams {
  readonly stdout: boolean
  readonly stderr: boolean
  /** Of a terminal: nothing is put around the bytes. */
  readonly isRaw: boolean
}

export type SessionEnd = Extract<SessionOutput, { kind: 'end' }>

const lost: SessionEnd = { kind: 'end', exitCode: undefined, error: 'the session was lost' }

/**
 * Sends what a session says, as fast as the client takes it, and answers with the session's end. When the client
 * has gone, the rest is read and forgotten: what runs goes on, as it does under dockerd.
 */
export async function sendOutput(
  session: TaskSession,
  to: Writable,
  { stdout, stderr, isRaw }: Streams,
): Promise<SessionEnd> {
  for await (const output of session.output()) {
    if (output.kind === 'end') return output
    const { stream, bytes } = output
    if (stream === 'stdout' ? !stdout : !stderr) continue
    await send(to, isRaw ? bytes : stdcopyFrame(stream, bytes))
  }
  return lost
}

/** Hands on what the client sends, as fast as the program reads it, and its end. */
export function takeInput(from: Duplex, early: Buffer, session: TaskSession): void {
  const take = (bytes: Buffer): void => {
    if (bytes.length === 0) return
    session.write(bytes)
    from.pause()
    void session.room().then(() => from.resume())
  }
  take(early)
  from.on('data', take)
  from.once('end', () => session.endInput())
  from.once('close', () => session.endInput())
}

/** Reads and forgets, so that the client's end is noticed. */
export function ignoreInput(from: Duplex): void {
  from.on('data', () => {})
  from.resume()
}
