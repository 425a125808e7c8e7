export { ComposedResolver } from './compose.ts'
export {
  refusalIn,
  wipeResolved,
  type RefusedOutcome,
  type Resolved,
  type ResolvingTask,
  type Resolver,
  type WantedSecret,
} from './resolver.ts'
export { StoreResolver, type StoreQuestion, type StoreResolverOptions } from './store-resolver.ts'
export { ValueResolver } from './value-resolver.ts'
