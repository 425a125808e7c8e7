export {
  credentialFor,
  mergeCredentials,
  parseDockerConfig,
  wipeCredentials,
  type RegistryCredential,
} from './docker-config.ts'
export { ImagePullFailed, ImageRefused } from './errors.ts'
export { ImagePuller, usualRegistry, type ImagePullerOptions } from './image-puller.ts'
export { parseImageReference, type ImageReference } from './image-reference.ts'
export { ImageTree, type LayerEntry } from './image-tree.ts'
export { archiveEntries, ImageBudget, usualImageLimits, type ImageLimits } from './layer.ts'
export { tarArchives } from './tar-archives.ts'
