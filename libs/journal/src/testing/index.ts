export { PowerCut, SimulatedDisk, systemError, type DiskOperation } from './simulated-disk.ts'
