import type { Caller } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'
import { findNetwork } from './find-network.ts'

/** One network of a service, as its spec has it: by name or by id. */
export interface NetworkAttachment {
  readonly Target?: string | null | undefined
}

/**
 * The same attachments with the id of each network, as a service's spec keeps them. A network of one machine
 * alone, but for those that every machine has, is refused. Source: moby, `populateNetworkID`.
 *
 * @throws Refusal
 */
export async function resolveNetworks<Attachment extends NetworkAttachment>(
  engine: Engine,
  caller: Caller,
  attachments: readonly Attachment[],
): Promise<readonly Attachment[]> {
  const resolved: Attachment[] = []
  for (const attachment of attachments) {
    const asked = attachment.Target ?? ''
    const { Id, Scope, Name } = await findNetwork(engine, caller, asked)
    if (Scope !== 'swarm' && !everywhere.includes(Name)) {
      throw new Refusal(
        403,
        `The network ${printable(asked)} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
      )
    }
    resolved.push({ ...attachment, Target: Id })
  }
  return resolved
}

const everywhere: readonly string[] = ['bridge', 'host', 'none']
