export { engineDirectories, type PluginDirectories } from './places.ts'
export { PluginDrivers, type PluginDriversOptions } from './plugin-drivers.ts'
