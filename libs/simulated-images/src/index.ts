export {
  isKnown,
  isPinnedToSimulated,
  knownRepositories,
  noSuchImage,
  simulatedImage,
} from './catalog.ts'
export { simulatedImagesModes, type SimulatedImagesMode } from './modes.ts'
export { familiarName, hub, parseImageName, type ImageName } from './image-name.ts'
export {
  manifestType,
  simulatedLabel,
  type ImageConfiguration,
  type SimulatedImage,
} from './simulated-image.ts'
