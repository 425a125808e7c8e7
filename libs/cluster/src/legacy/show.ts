import type { JsonObject, Message } from '@conclave/model'

/** How a message is written for whoever looks: what of it may be seen is decided elsewhere. */
export type Show = <T>(kind: Message<T>, value: T) => JsonObject

export const seconds = (timeMs: number | undefined): number => (timeMs ?? 0) / 1000

/** The members that have something in them. */
export const present = (members: Readonly<Record<string, unknown>>): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
