import type { Caller } from '@conclave/actors'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import type { Engine } from '../engine.ts'
import { networksOf } from '../networks/find-network.ts'
import type { NetworkObject } from '../networks/network-object.ts'
import { writtenSpec } from '../services/service-object.ts'
import type { Container } from './container.ts'
import { imageOf } from './process.ts'

/*
 * What a container has of the machine's, as its service and its image say. No port of the machine leads to it and no
 * volume is mounted in it, so none is shown. Source: moby, `daemon/cluster/executor/container/container.go`.
 */

export interface Surroundings {
  readonly networks: readonly Pick<NetworkObject, 'Id' | 'Name'>[]
  readonly ports: readonly ExposedPort[]
  readonly mounts: readonly Mount[]
}

export interface ExposedPort {
  readonly PrivatePort: number
  readonly Type: string
}

export interface Mount {
  readonly Type: 'tmpfs'
  readonly Source: string
  readonly Destination: string
  readonly Mode: string
  readonly RW: boolean
  readonly Propagation: string
}

export type SurroundingsOf = (container: Container) => Surroundings

/** For many containers at once: networks are looked up once. */
export async function surroundings(
  engine: Engine,
  caller: Caller,
  mode: SimulatedImagesMode,
): Promise<SurroundingsOf> {
  const networks = await networksOf(engine, caller)
  return (container) => ({
    networks: networksFor(container, networks),
    ports: portsOf(container, mode),
    mounts: mountsOf(container),
  })
}

/** Those of its service; the ingress network where it publishes there; else what every container is on. */
function networksFor({ task }: Container, all: readonly NetworkObject[]): readonly NetworkObject[] {
  const { TaskTemplate, Networks, EndpointSpec } = writtenSpec(task.spec)
  const own = [...(TaskTemplate?.Networks ?? []), ...(Networks ?? [])].map(({ Target }) => Target)
  const isIngress = EndpointSpec?.Ports?.some(
    ({ PublishMode }) => (PublishMode || 'ingress') === 'ingress',
  )
  const wanted = [...own, ...(isIngress === true ? ['ingress'] : [])]
  const found = all.filter(({ Id, Name }) => wanted.includes(Id) || wanted.includes(Name))
  return found.length > 0 ? found : all.filter(({ Name }) => Name === 'bridge')
}

function portsOf(container: Container, mode: SimulatedImagesMode): readonly ExposedPort[] {
  const { EndpointSpec } = writtenSpec(container.task.spec)
  const ofImage = Object.keys(imageOf(container, mode)?.configuration.ExposedPorts ?? {})
  const onHost = (EndpointSpec?.Ports ?? [])
    .filter(({ PublishMode }) => PublishMode === 'host')
    .map(({ TargetPort, Protocol }) => `${TargetPort ?? 0}/${Protocol || 'tcp'}`)
  return [...new Set([...ofImage, ...onHost])].map((port) => {
    const [number = '', protocol = 'tcp'] = port.split('/')
    return { PrivatePort: Number(number), Type: protocol }
  })
}

const mountsOf = ({ spec }: Container): readonly Mount[] =>
  (spec.Mounts ?? [])
    .filter(({ Type }) => Type === 'tmpfs')
    .map(({ Target, ReadOnly }) => ({
      Type: 'tmpfs',
      Source: '',
      Destination: Target ?? '',
      Mode: '',
      RW: ReadOnly !== true,
      Propagation: '',
    }))
