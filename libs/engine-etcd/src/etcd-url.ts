import { EtcdUrlInvalid } from './errors.ts'

/** Where a cluster of etcd is, and below which prefix of it we live. */
export interface EtcdPlace {
  /** `host:port` each. */
  readonly endpoints: readonly string[]
  /** Without a slash at its end. */
  readonly prefix: string
}

const shape = /^etcd:\/\/([^/?#@\s]+)(\/[\w./-]*)?$/
const endpointShape = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/
const usualPort = 2379
const usualPrefix = '/conclave'

/**
 * Reads `etcd://host:port,host:port/prefix`. The port may be left out (2379), and the prefix (`/conclave`).
 *
 * @throws EtcdUrlInvalid, without the text: somebody may have put a password into it
 */
export function parseEtcdUrl(text: string): EtcdPlace {
  const [, hosts, path = ''] = shape.exec(text) ?? []
  if (hosts === undefined) {
    throw new EtcdUrlInvalid(
      'expected etcd://host:port,host:port/prefix; users and passwords do not belong into it',
    )
  }
  const prefix = path.replace(/\/+$/, '')
  return { endpoints: hosts.split(',').map(endpointOf), prefix: prefix || usualPrefix }
}

function endpointOf(text: string): string {
  const [, host, port] = endpointShape.exec(text) ?? []
  const number = port === undefined ? usualPort : Number(port)
  if (host === undefined || number < 1 || number > 65_535) {
    throw new EtcdUrlInvalid('expected host:port, with a port from 1 to 65535')
  }
  return `${host}:${number}`
}
