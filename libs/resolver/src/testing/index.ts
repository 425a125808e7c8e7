export { MemoryResolver } from './memory-resolver.ts'
