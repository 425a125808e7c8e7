import { randomInt } from 'node:crypto'

/*
 * A name for a service that was given none, as the Engine's: an adjective and a person. The people here are
 * those who gave us cryptography and agreement.
 */

const adjectives = [
  'agile',
  'bold',
  'brave',
  'calm',
  'clever',
  'eager',
  'gentle',
  'happy',
  'keen',
  'kind',
  'lucid',
  'modest',
  'nimble',
  'patient',
  'quiet',
  'steady',
  'vivid',
  'wise',
] as const

const people = [
  'bellare',
  'brewer',
  'chaum',
  'diffie',
  'goldwasser',
  'hellman',
  'hopper',
  'koblitz',
  'lamport',
  'liskov',
  'lynch',
  'merkle',
  'micali',
  'ongaro',
  'rivest',
  'shamir',
  'shannon',
  'turing',
] as const

const one = (of: readonly string[]): string => of[randomInt(of.length)] ?? ''

export const randomServiceName = (): string =>
  `${one(adjectives)}_${one(people)}_${randomInt(1000)}`
