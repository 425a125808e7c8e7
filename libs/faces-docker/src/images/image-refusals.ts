import { knownRepositories } from '@conclave/simulated-images'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'

export const invalidReference = (): Refusal => new Refusal(400, 'invalid reference format')

/** Some clients look for these words of a registry's, so they come first. */
export const notSimulated = (name: string): Refusal =>
  new Refusal(
    404,
    `pull access denied for ${printable(name)}, repository does not exist or may require 'docker login': ` +
      `denied: this Engine asks no registry, and simulates ${knownRepositories.join(', ')}`,
  )
