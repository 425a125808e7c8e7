export { MemoryFileSystem } from './memory-file-system.ts'
