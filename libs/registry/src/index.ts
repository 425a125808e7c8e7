export { LayoutUnusable, RegistryUsersInvalid } from './errors.ts'
export {
  archiveOf,
  buildImage,
  buildIndex,
  digestOf,
  ownArchitecture,
  type BuiltImage,
  type ImageFile,
  type ImageRecipe,
} from './image-builder.ts'
export { ImageLibrary, type StoredManifest } from './image-library.ts'
export { loadLayout } from './layout.ts'
export { RegistryServer, type RegistryOptions, type RegistryRequest } from './registry-server.ts'
export { RegistryUsers, type RegistryUser } from './registry-users.ts'
export { sampleImage } from './sample-images.ts'
