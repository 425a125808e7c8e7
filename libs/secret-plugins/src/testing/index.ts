export { TestPlugin, type PluginAnswer, type PluginCall } from './plugin.ts'
