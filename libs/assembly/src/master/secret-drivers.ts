import { join } from 'node:path'
import { engineDirectories, PluginDrivers } from '@conclave/secret-plugins'

/** Docker's drivers of secrets: in the `plugins` of a master's directory, else where dockerd has them. */
export function secretDriversIn(directory: string): PluginDrivers {
  const own = join(directory, 'plugins')
  const { sockets, specs } = engineDirectories
  return new PluginDrivers({ directories: { sockets: [own, ...sockets], specs: [own, ...specs] } })
}
