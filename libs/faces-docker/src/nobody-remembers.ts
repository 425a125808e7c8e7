import { Refusal } from './errors.ts'

/** Of a machine that is no manager: what it would have to remember is written down by managers alone. */
export const nobodyRemembers = (what: string): Refusal =>
  new Refusal(
    503,
    `${what} are remembered by the managers of a swarm, and this node is none: docker swarm init makes it one`,
  )
