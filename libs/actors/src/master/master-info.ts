import type { MasterInfo } from '@conclave/model'
import type { Address } from './master-api.ts'

/** What a master says of itself to frameworks and operators of Mesos. */
export function masterInfoOf(
  masterId: string,
  { host, port }: Address = { host: '', port: 5050 },
): MasterInfo {
  return {
    id: masterId,
    ip: ipv4(host),
    port,
    pid: `master@${host}:${port}`,
    hostname: host,
    version: '1.11.0',
    address: { hostname: host, port },
    capabilities: [],
  }
}

/** Mesos' number for an IPv4 address, its first byte lowest; 0 for a name. */
function ipv4(host: string): number {
  const bytes = host.split('.').map(Number)
  const isAddress = bytes.length === 4 && bytes.every((byte) => byte >= 0 && byte <= 255)
  return isAddress ? bytes.reduceRight((sum, byte) => sum * 256 + byte, 0) : 0
}
