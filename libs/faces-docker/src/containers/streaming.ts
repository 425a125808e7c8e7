import type { SessionOutput, TaskSession } from '@conclave/actors'
import type { Duplex, Writable } from 'node:stream'
import { DetachWatch } from './detach.ts'
import { stdcopyFrame } from './stdcopy.ts'

/** Acts once nobody is at the other end any more: at once, if that was so before anybody looked. */
export function whenGone(to: Writable, act: () => void): void {
  if (to.destroyed) act()
  else to.once('close', act)
}

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

export interface InputTaken {
  /** Of a terminal: keys by which its client leaves. */
  readonly detachKeys?: readonly number[] | undefined
  readonly onDetached?: () => void
  readonly onEnd: () => void
}

/** Hands on what the client sends, as fast as the program reads it, and tells of its end, once. */
export function takeInput(
  from: Duplex,
  early: Buffer,
  session: TaskSession,
  { detachKeys, onDetached, onEnd }: InputTaken,
): void {
  const watch = detachKeys && new DetachWatch(detachKeys)
  let isOver = false
  const over = (tell: (() => void) | undefined): void => {
    if (isOver) return
    isOver = true
    tell?.()
  }
  const take = (sent: Buffer): void => {
    if (sent.length === 0 || isOver) return
    const { bytes, isDetached } = watch?.take(sent) ?? { bytes: sent, isDetached: false }
    if (bytes.length > 0) session.write(bytes)
    if (isDetached) return over(onDetached)
    from.pause()
    void session.room().then(() => from.resume())
  }
  take(early)
  from.on('data', take)
  from.once('end', () => over(onEnd))
  whenGone(from, () => over(onEnd))
}

/** Reads and forgets, so that the client's end is noticed. */
export function ignoreInput(from: Duplex): void {
  from.on('data', () => {})
  from.resume()
}
