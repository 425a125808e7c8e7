export {
  checkContainer,
  planContainer,
  type CheckedContainer,
  type ContainerAbilities,
  type ContainerSurroundings,
  type Placement,
  type PlannedSecret,
} from './container.ts'
export {
  imageOf,
  programOf,
  type ImageConfig,
  type ImageEntry,
  type ImageRoot,
  type ImageSource,
  type ImageWanted,
  type PlannedImage,
} from './image.ts'
export { HostFailed, type Binding, type Host } from './host.ts'
export { usualSecretLimits, wholePages, type SecretLimits } from './limits.ts'
export { CleanupFailed, perform, PlacementFailed, undo } from './perform.ts'
export { planReplacements, replaceFiles, type Replacement } from './replace.ts'
export { planCleanup, wipePlan, type Owner, type Plan, type Step, type UndoStep } from './plan.ts'
export {
  ContainerPathRefused,
  ContainerSpecRefused,
  PathsInConflict,
  PlanRefused,
  PrivilegeRefused,
  SecretOversize,
  VariableRefused,
} from './refusal.ts'
export {
  urisOf,
  type FetchedFile,
  type PlannedUri,
  type UriCredentials,
  type UriSource,
  type UriWanted,
} from './uri.ts'
export { sandboxDirectory } from './volume-secret.ts'
