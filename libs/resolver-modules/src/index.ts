export { ModulesInvalid, ResolverNotInitialized } from './errors.ts'
export { readModules, type ModuleSpec } from './modules-document.ts'
export { ModuleResolver, usualModuleLimits, type ModuleResolverLimits } from './module-resolver.ts'
