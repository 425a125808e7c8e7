import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { swarmPort, type PlaceWanted } from '@conclave/faces-docker'
import { ConclaveError, type Random } from '@conclave/kernel'
import { areFree, chooseAddresses, type MasterAddress } from '../cluster/addresses.ts'

/** Where a master should listen is no place of this machine, or is taken. */
export class EnginePlaceUnusable extends ConclaveError {
  readonly code = 'engine.place-unusable'
}

const loopback = '127.0.0.1'

/** The address that was meant: of a network interface, or this machine alone unless anything was said. */
export function hostOf({ host }: PlaceWanted): string {
  if (host === '') return loopback
  if (isIP(host) !== 0) return host
  const addresses = networkInterfaces()[host] ?? []
  const found = addresses.find(({ family }) => family === 'IPv4') ?? addresses[0]
  if (found !== undefined) return found.address
  throw new EnginePlaceUnusable(
    `could not find network interface ${host}: name an address, or one of ${Object.keys(networkInterfaces()).join(', ')}`,
  )
}

/**
 * Where a master of this machine listens. Others join at the port that was asked for, and if none was, at
 * Docker's own or any that is free. Its faces, which speak without TLS, stay on this machine.
 *
 * @throws EnginePlaceUnusable, NoFreePort
 */
export async function chooseOwnPlace(
  who: { readonly masterId: string; readonly nodeId: number },
  wanted: PlaceWanted,
  random: Random,
): Promise<MasterAddress> {
  const host = hostOf(wanted)
  const [free] = await chooseAddresses([who], host, random)
  if (free === undefined) throw new EnginePlaceUnusable(`nothing is free on ${host}`)
  const place: MasterAddress = { ...free, faceHost: loopback }
  // As of sockets: 0 is any port that is free.
  if (wanted.port === 0) return place
  const port = wanted.port ?? swarmPort
  const asWanted: MasterAddress = { ...place, ports: { ...place.ports, join: port } }
  if (await isJoinFree(asWanted)) return asWanted
  if (port === swarmPort) return place
  throw new EnginePlaceUnusable(
    `${host}:${port} cannot be listened on: it is taken, or no address of this machine`,
  )
}

/** As the last time if that is free, else elsewhere: the others learn of it. @throws NoFreePort */
export async function placeAgain(last: MasterAddress, random: Random): Promise<MasterAddress> {
  if (await areFree([last])) return last
  return chooseOwnPlace(last, { host: last.host, port: undefined }, random)
}

const isJoinFree = ({ ports, ...rest }: MasterAddress): Promise<boolean> => {
  const { join } = ports
  const same = { peers: join, agents: join, join, conclave: join, dcos: join, mesos: join }
  return areFree([{ ...rest, ports: same }])
}
