import { createServer } from 'node:net'
import type { Random } from '@conclave/kernel'
import { z } from 'zod'
import type { MasterUrls } from '../scheduler/master-session.ts'
import { NoFreePort } from './errors.ts'

const port = z.int().min(1).max(65_535)

/** The listeners of one master: three for the cluster itself (TLS), one for each face. */
export const MasterPorts = z.object({
  peers: port,
  agents: port,
  join: port,
  conclave: port,
  dcos: port,
  mesos: port,
})
export type MasterPorts = Readonly<z.infer<typeof MasterPorts>>

/** One master of the group, as every other member must know it. */
export const MasterAddress = z.object({
  masterId: z.string().min(1),
  nodeId: z.int().positive(),
  host: z.string().min(1),
  /** Where its faces listen, which speak without TLS. Default: the same. */
  faceHost: z.string().min(1).optional(),
  ports: MasterPorts,
})
export type MasterAddress = Readonly<z.infer<typeof MasterAddress>>

/**
 * Below what Linux (32768), macOS and Windows (49152) give to outgoing connections: a master that
 * was killed must find its ports free when it comes back.
 */
const portMin = 12_000
const portMax = 30_000

/** Free ports for each of `masters`, one beside the other from a random place on. @throws NoFreePort */
export async function chooseAddresses(
  masters: readonly { readonly masterId: string; readonly nodeId: number }[],
  host: string,
  random: Random,
): Promise<readonly MasterAddress[]> {
  const names = Object.keys(MasterPorts.shape) as (keyof MasterPorts)[]
  const free = await freePorts(host, names.length * masters.length, random)
  return masters.map(({ masterId, nodeId }, index) => {
    const own = free.slice(index * names.length, (index + 1) * names.length)
    const ports = Object.fromEntries(names.map((name, at) => [name, own[at]]))
    return { masterId, nodeId, host, ports: MasterPorts.parse(ports) }
  })
}

/** Whether nobody listens on any port of `addresses`. */
export async function areFree(addresses: readonly MasterAddress[]): Promise<boolean> {
  for (const { host, ports } of addresses) {
    for (const number of Object.values(ports)) {
      if (!(await isFree(host, number))) return false
    }
  }
  return true
}

async function freePorts(host: string, count: number, random: Random): Promise<number[]> {
  const found: number[] = []
  const start = random.below(portMax - portMin)
  for (let tried = 0; tried < portMax - portMin && found.length < count; tried++) {
    const candidate = portMin + ((start + tried) % (portMax - portMin))
    if (await isFree(host, candidate)) found.push(candidate)
  }
  if (found.length < count) throw new NoFreePort(host, portMin, portMax)
  return found
}

const isFree = (host: string, candidate: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port: candidate, exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })

/** Where clients find the faces of a master. */
export function urlsOf({ masterId, host, faceHost = host, ports }: MasterAddress): MasterUrls {
  const url = (number: number): string =>
    `http://${faceHost.includes(':') ? `[${faceHost}]` : faceHost}:${number}`
  return {
    masterId,
    conclave: url(ports.conclave),
    dcos: url(ports.dcos),
    mesos: url(ports.mesos),
  }
}
