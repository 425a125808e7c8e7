import { TerminalSize } from '@conclave/model'
import { z } from 'zod'
import type { Address } from './master-api.ts'
import { Listeners } from './master-records.ts'
import {
  AskedBy,
  type FromSession,
  type PeerLine,
  type SessionOpening,
  type ToSession,
} from './peer-sessions.ts'
import { TaskUsageSaid } from './task-usage.ts'

/*
 * What masters ask each other beside Raft, one question and one answer to a connection. Who asks and who
 * answers is proven by certificates; a member that was removed still has one.
 */

const masterId = z.string().max(255)

export const Administration = z.object({
  ask: z.literal('administer'),
  what: z.discriminatedUnion('do', [
    z.object({ do: z.literal('list') }),
    z.object({ do: z.literal('promote'), masterId }),
    z.object({ do: z.literal('demote'), masterId }),
    z.object({ do: z.literal('remove'), masterId, force: z.boolean() }),
    z.object({ do: z.literal('leave'), masterId }),
  ]),
  by: z.object({ uid: z.string().max(255), requestId: z.string().max(255) }),
})
export type Administration = Readonly<z.infer<typeof Administration>>

export const TaskQuestion = z.object({
  ask: z.literal('task'),
  what: z.discriminatedUnion('do', [
    z.object({ do: z.literal('kill'), taskId: z.string().max(255) }),
    z.object({
      do: z.literal('signal'),
      taskId: z.string().max(255),
      signal: z.string().max(64).optional(),
    }),
    z.object({ do: z.literal('usage'), taskId: z.string().max(255) }),
    z.object({ do: z.literal('resize'), taskId: z.string().max(255), size: TerminalSize }),
  ]),
  by: AskedBy,
})
export type TaskQuestion = Readonly<z.infer<typeof TaskQuestion>>

const TaskSeen = z.object({
  taskId: z.string(),
  frameworkId: z.string(),
  agentId: z.string(),
  name: z.string(),
  state: z.string(),
  isTerminal: z.boolean(),
  reason: z.string().optional(),
  message: z.string().optional(),
  updatedAtMs: z.number(),
})

const Seen = z.object({
  masterId,
  nodeId: z.int().positive(),
  role: z.enum(['leader', 'voter', 'learner']),
  isReachable: z.boolean(),
  lag: z.int().optional(),
  wanted: z.enum(['voter', 'learner', 'gone']).optional(),
  sinceMs: z.int().optional(),
  listeners: Listeners,
})

export const PeerQuestion = z.discriminatedUnion('ask', [
  /** Who are you? Asked back before a master is let in, at the address it gave. */
  z.object({ ask: z.literal('who') }),
  /** Let me in. */
  z.object({
    ask: z.literal('join'),
    nodeId: z.int().positive(),
    role: z.enum(['voter', 'learner']),
    listeners: Listeners,
  }),
  /** Am I one of you? Asked by who hears of no leader: perhaps it has moved, and is looked for elsewhere. */
  z.object({ ask: z.literal('membership'), listeners: Listeners.optional() }),
  /** I go: let me go for good. Asked by whoever it is about, let in or not. */
  z.object({ ask: z.literal('leave') }),
  /** You are not one of us any more. */
  z.object({ ask: z.literal('farewell') }),
  /** You lead: do this for a caller of mine. Asked by a member alone, since all of them decide who may what. */
  Administration,
  /** The same of a task, whose agent only the leader has a connection to. */
  TaskQuestion,
])
export type PeerQuestion = Readonly<z.infer<typeof PeerQuestion>>

export const PeerAnswer = z.discriminatedUnion('answer', [
  z.object({ answer: z.literal('i-am'), masterId: z.string(), nodeId: z.int().positive() }),
  /** It is a member, or will be: the rest comes with the log. */
  z.object({ answer: z.literal('member') }),
  z.object({ answer: z.literal('removed') }),
  z.object({ answer: z.literal('stranger') }),
  z.object({ answer: z.literal('refused'), why: z.string() }),
  /** Not now, or not here: the leader may know. */
  z.object({ answer: z.literal('later'), why: z.string() }),
  z.object({ answer: z.literal('noted') }),
  /** The masters, or the one that it was about. */
  z.object({ answer: z.literal('administered'), members: z.array(Seen) }),
  /** What became of it, where that was asked. */
  z.object({ answer: z.literal('task'), task: TaskSeen.optional() }),
  z.object({ answer: z.literal('task-usage'), usage: TaskUsageSaid }),
  /** With the code of the error that the caller would have had there. */
  z.object({ answer: z.literal('failed'), code: z.string(), why: z.string() }),
])
export type PeerAnswer = Readonly<z.infer<typeof PeerAnswer>>

/** Where a master is called: undefined is for a wire that finds it by itself. */
export type CalledAt = Address | undefined

/** The port: one question to another master, or a session at it. */
export interface PeerAsk {
  /** @throws PeerSilent unless `masterId` itself answers at `at` */
  ask(at: CalledAt, masterId: string, question: PeerQuestion): Promise<PeerAnswer>
  /** Where `masterId` itself does not answer at `at`, nothing is heard. */
  open(at: CalledAt, masterId: string, opening: SessionOpening): PeerLine<ToSession, FromSession>
}

/** Where to call whoever may be at one of these, one after the other. */
export const callsTo = (addresses: readonly Address[]): readonly CalledAt[] =>
  addresses.length > 0 ? addresses : [undefined]
