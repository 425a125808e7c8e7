import { hash } from 'node:crypto'
import { derivedObjectId } from '@conclave/crypto'
import { zeroTime } from '../times.ts'
import type { NetworkObject } from './network-object.ts'

/**
 * Networks that every Engine has by itself; the last two come with a swarm.
 *
 * @param clusterId whose they are: their ids differ from those of others
 */
export function predefinedNetworks(clusterId: string, hasSwarm: boolean): readonly NetworkObject[] {
  const local = [
    localNetwork(clusterId, 'bridge', 'bridge', '172.17.0.0/16'),
    localNetwork(clusterId, 'host', 'host'),
    localNetwork(clusterId, 'none', 'null'),
  ]
  if (!hasSwarm) return local
  const gateway = localNetwork(clusterId, 'docker_gwbridge', 'bridge', '172.18.0.0/16')
  return [...local, gateway, ingress(clusterId)]
}

/** Names that nobody may give to a network of theirs. */
export const predefinedNames: readonly string[] = [
  'bridge',
  'docker_gwbridge',
  'host',
  'ingress',
  'none',
]

const localNetwork = (
  clusterId: string,
  name: string,
  driver: string,
  subnet?: string,
): NetworkObject => ({
  Name: name,
  Id: hash('sha256', `network ${clusterId} ${name}`, 'hex'),
  Created: zeroTime,
  Scope: 'local',
  Driver: driver,
  EnableIPv6: false,
  IPAM: {
    Driver: 'default',
    Options: null,
    Config: subnet === undefined ? null : [{ Subnet: subnet }],
  },
  ...usual,
  Containers: {},
})

const ingress = (clusterId: string): NetworkObject => ({
  Name: 'ingress',
  Id: derivedObjectId(clusterId, 'network', 'ingress'),
  Created: zeroTime,
  Scope: 'swarm',
  Driver: 'overlay',
  EnableIPv6: false,
  IPAM: {
    Driver: 'default',
    Options: null,
    Config: [{ Subnet: '10.0.0.0/24', Gateway: '10.0.0.1' }],
  },
  ...usual,
  Ingress: true,
  Options: { 'com.docker.network.driver.overlay.vxlanid_list': '4096' },
})

const usual = {
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: null,
  Options: {},
  Labels: {},
} as const
