import { isIP } from 'node:net'
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'
import type { KeptNetwork, NetworkObject } from './network-object.ts'
import { predefinedNames } from './predefined.ts'

const texts = z.record(z.string(), z.string()).nullish()

/** The body of `POST /networks/create`. Source: docker-swarm.md objects.json. */
export const NetworkCreate = z.object({
  Name: z.string().nullish(),
  Driver: z.string().nullish(),
  Scope: z.string().nullish(),
  Internal: z.boolean().nullish(),
  Attachable: z.boolean().nullish(),
  Ingress: z.boolean().nullish(),
  ConfigOnly: z.boolean().nullish(),
  ConfigFrom: z.object({ Network: z.string().nullish() }).nullish(),
  EnableIPv6: z.boolean().nullish(),
  IPAM: z
    .object({
      Driver: z.string().nullish(),
      Options: texts,
      Config: z.array(z.record(z.string(), z.json())).nullish(),
    })
    .nullish(),
  Options: texts,
  Labels: texts,
})
export type NetworkCreate = z.infer<typeof NetworkCreate>

const networkName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/

/** @throws Refusal when a network of that name, or such a one, cannot be had */
export function checkNetwork(asked: NetworkCreate, existing: readonly NetworkObject[]): void {
  const name = asked.Name ?? ''
  if (!networkName.test(name)) {
    throw new Refusal(
      400,
      `invalid network name: ${printable(name)}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  if (predefinedNames.includes(name)) {
    throw new Refusal(403, `operation is not permitted on predefined ${name} network `)
  }
  if (existing.some(({ Name }) => Name === name)) {
    throw new Refusal(409, `network with name ${name} already exists`)
  }
  const driver = driverOf(asked)
  if (driver !== 'bridge' && driver !== 'overlay') {
    throw new Refusal(404, `plugin "${printable(driver)}" not found`)
  }
  for (const { Subnet } of asked.IPAM?.Config ?? []) {
    if (typeof Subnet !== 'string' || Subnet === '' || isSubnet(Subnet)) continue
    const text = printable(Subnet)
    throw new Refusal(
      400,
      `invalid network config:\ninvalid subnet ${text}: invalid CIDR block notation`,
    )
  }
  if (asked.Ingress === true) {
    throw new Refusal(409, 'ingress network already exists: it comes with the swarm')
  }
  if (asked.ConfigOnly === true || (asked.ConfigFrom?.Network ?? '') !== '') {
    throw new Refusal(
      501,
      'networks are simulated by Conclave: there are no configurations of them',
    )
  }
}

function isSubnet(asked: string): boolean {
  const [, address = '', bits = ''] = /^([^/]{1,64})\/(\d{1,3})$/.exec(asked) ?? []
  const version = isIP(address)
  return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128)
}

export const driverOf = ({ Driver }: NetworkCreate): string => Driver || 'bridge'

/** What is kept of a network, with a subnet where none was asked for. */
export function keptNetwork(asked: NetworkCreate, existing: readonly NetworkObject[]): KeptNetwork {
  const isOverlay = driverOf(asked) === 'overlay'
  const { IPAM } = asked
  const config = IPAM?.Config ?? []
  return {
    Driver: isOverlay ? 'overlay' : 'bridge',
    EnableIPv6: asked.EnableIPv6 ?? false,
    IPAM: {
      Driver: IPAM?.Driver || 'default',
      Options: IPAM?.Options ?? null,
      Config: config.length > 0 ? config : [freeSubnet(isOverlay, existing)],
    },
    Internal: asked.Internal ?? false,
    Attachable: asked.Attachable ?? false,
    Options: asked.Options ?? {},
    Labels: asked.Labels ?? {},
  }
}

/**
 * The first subnet that no network has, as the Engine's own pools give them. Nothing is sent there, so two that
 * are made at the same time may have the same one.
 */
function freeSubnet(
  isOverlay: boolean,
  existing: readonly NetworkObject[],
): Record<string, string> {
  const taken = new Set(
    existing.flatMap(({ IPAM }) => (IPAM.Config ?? []).map((one) => one['Subnet'])),
  )
  for (let number = 1; number < 65_536; number++) {
    const [high, low] = [number >> 8, number & 255]
    const prefix = isOverlay ? `10.${high}.${low}` : `172.${19 + high}.${low}`
    const subnet = `${prefix}.0/24`
    if (!taken.has(subnet)) return { Subnet: subnet, Gateway: `${prefix}.1` }
  }
  throw new Refusal(500, 'could not find an available, non-overlapping IPv4 address pool')
}
