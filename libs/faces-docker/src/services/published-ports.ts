import type { Caller } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import { rpc } from '../errors.ts'
import { servicesOf } from './find-service.ts'
import { writtenSpec } from './service-object.ts'
import type { ServiceSpec } from './service-spec.ts'

interface Published {
  readonly port: number
  readonly protocol: string
  readonly isOnHost: boolean
}

/**
 * Two services cannot be found under one port of the swarm, nor can one at the host's own port of that number. Nothing
 * is sent over any here, but a stack that is deployed elsewhere would be refused. Source: SwarmKit,
 * `checkPortConflicts`.
 *
 * @param serviceId of the service itself, where it is one already
 * @throws Refusal
 */
export async function refuseTakenPorts(
  engine: Engine,
  caller: Caller,
  spec: ServiceSpec,
  serviceId?: string,
): Promise<void> {
  const wanted = publishedIn(spec)
  if (wanted.length === 0) return
  for (const other of await servicesOf(engine, caller)) {
    if (other.id === serviceId) continue
    for (const taken of publishedIn(writtenSpec(other.spec))) {
      const rival = wanted.find(
        ({ port, protocol, isOnHost }) =>
          port === taken.port && protocol === taken.protocol && !(isOnHost && taken.isOnHost),
      )
      if (rival === undefined) continue
      const how = taken.isOnHost ? 'a host-published port' : 'an ingress port'
      throw rpc(
        'InvalidArgument',
        `port '${taken.port}' is already in use by service '${other.name}' (${other.id}) as ${how}`,
      )
    }
  }
}

const publishedIn = ({ EndpointSpec }: ServiceSpec): readonly Published[] =>
  (EndpointSpec?.Ports ?? []).flatMap(({ PublishedPort, Protocol, PublishMode }) =>
    PublishedPort
      ? [
          {
            port: PublishedPort,
            protocol: (Protocol || 'tcp').toLowerCase(),
            isOnHost: PublishMode === 'host',
          },
        ]
      : [],
  )
