export { MemoryResolver } from './memory-resolver.ts'
export {
  resolverChecks,
  resolverContract,
  type ResolverCheck,
  type ResolverSubject,
} from './resolver.contract.ts'
