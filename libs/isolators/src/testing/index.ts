export { describeHost, type HostUnderTest } from './host.contract.ts'
export { MemoryHost, type SeenFile } from './memory-host.ts'
