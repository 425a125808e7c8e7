export { MemoryRuntime, type MemoryRuntimeOptions } from './memory-runtime.ts'
export { usualContainerLimits, type ContainerLimits } from './memory-container.ts'
export {
  CopyRefused,
  type ArchiveEntry,
  type ArchiveFormat,
  type ArchiveLimits,
} from './archive.ts'
