import { ArchiveWanted } from '@conclave/model'
import { z } from 'zod'

/*
 * What two masters say to each other while a client of the one is in a container that only the other leads to: a
 * conversation of its own for each session, opened by a member at the leader. The leader answers with `opened` or
 * `refused`, and then what the program writes; the other side hands on what its client does.
 */

const taskId = z.string().max(255)
const size = z.object({ rows: z.int().nonnegative(), columns: z.int().nonnegative() })

/** On whose behalf it is asked: both masters decide whether they may. */
export const AskedBy = z.object({
  uid: z.string().max(255),
  requestId: z.string().max(255),
  expiresAtMs: z.number().optional(),
})
export type AskedBy = Readonly<z.infer<typeof AskedBy>>

export const SessionOpening = z.discriminatedUnion('open', [
  z.object({
    open: z.literal('logs'),
    taskId,
    by: AskedBy,
    wanted: z.object({
      follow: z.boolean(),
      tail: z.int().nonnegative().optional(),
      sinceMs: z.number().optional(),
      isAttached: z.boolean().optional(),
    }),
  }),
  z.object({
    open: z.literal('exec'),
    taskId,
    by: AskedBy,
    wanted: z.object({
      argv: z.array(z.string()).readonly(),
      env: z.record(z.string(), z.string()).optional(),
      user: z.string().optional(),
      workdir: z.string().optional(),
      terminal: size.optional(),
      mustStart: z.boolean().optional(),
      archive: ArchiveWanted.optional(),
    }),
  }),
])
export type SessionOpening = Readonly<z.infer<typeof SessionOpening>>

/** Who hangs up has closed the session. */
export const ToSession = z.discriminatedUnion('say', [
  z.object({ say: z.literal('input'), data: z.string() }),
  z.object({ say: z.literal('input-end') }),
  z.object({ say: z.literal('signal'), signal: z.string().max(64) }),
  z.object({ say: z.literal('resize'), size }),
])
export type ToSession = Readonly<z.infer<typeof ToSession>>

export const FromSession = z.discriminatedUnion('say', [
  z.object({ say: z.literal('opened') }),
  /** With the code of the error that the caller would have had there. */
  z.object({ say: z.literal('refused'), code: z.string(), why: z.string() }),
  z.object({
    say: z.literal('output'),
    stream: z.enum(['stdout', 'stderr']),
    data: z.string(),
    atMs: z.number().optional(),
  }),
  /** So many bytes of input are welcome again. */
  z.object({ say: z.literal('taken'), sizeBytes: z.int().nonnegative() }),
  z.object({ say: z.literal('end'), exitCode: z.int().optional(), error: z.string().optional() }),
])
export type FromSession = Readonly<z.infer<typeof FromSession>>

/** One conversation, as either side has it: in order, until one of them hangs up or the other is lost. */
export interface PeerLine<Said, Heard> {
  /** Waits in memory until the other side takes it: see {@link room}. */
  say(message: Said): void
  /** Resolves once most of what was said is on its way, or the line has ended. */
  room(): Promise<void>
  /** Ends with the line. While nobody reads it, the other side waits before long. */
  heard(): AsyncIterable<Heard>
  /** What was said before arrives, if it can. */
  hangUp(): void
}
