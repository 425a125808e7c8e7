import { isIP } from 'node:net'
import { Refusal } from './errors.ts'
import type { PlaceWanted } from './swarm-node.ts'

/** The port that Docker has for what members say to each other. */
export const swarmPort = 2377

/**
 * Where a member shall be reached: at the address that it advertises, else at the one it shall listen on.
 *
 * @throws Refusal for an address that members could not be told, as far as its form shows
 */
export function placeWanted(advertised: string, listening: string): PlaceWanted {
  const told = partsOf(advertised)
  if (told.host !== '' && !isReachable(told.host)) {
    throw new Refusal(
      400,
      'advertise address must be a non-zero IP address or network interface (with optional port number)',
    )
  }
  const own = partsOf(listening)
  const isAnywhere = own.host === '' || own.host === '0.0.0.0' || own.host === '::'
  return { host: told.host || (isAnywhere ? '' : own.host), port: told.port ?? own.port }
}

/** A network interface has a name such as eth0; digits and dots alone are a broken address. */
const isReachable = (host: string): boolean =>
  (isIP(host) !== 0 && host !== '0.0.0.0' && host !== '::') || /^[A-Za-z][\w.-]{0,14}$/.test(host)

/** `host`, `host:port`, `[v6]:port` or a bare IPv6 address. */
export function partsOf(text: string): PlaceWanted {
  if (isIP(text) === 6) return { host: text, port: undefined }
  const bracketed = /^\[(.*)\](?::(\d+))?$/.exec(text)
  const plain = /^(.*?)(?::(\d+))?$/.exec(text)
  const [, host = '', port] = bracketed ?? plain ?? []
  return { host, port: port === undefined ? undefined : Number(port) }
}
