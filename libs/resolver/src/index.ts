export type { DriverAnswer, DriverQuestion, SecretDrivers } from './driver.ts'
export { ComposedResolver, type ComposedResolvers } from './compose.ts'
export {
  moduleRefusals,
  type CreateSecretResolver,
  type ModuleContext,
  type ModuleRefusal,
  type ModuleSecret,
  type ModuleValue,
  type SecretResolverModule,
} from './module.ts'
export {
  OutsideResolver,
  type OutsideQuestion,
  type OutsideResolverOptions,
} from './outside-resolver.ts'
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
