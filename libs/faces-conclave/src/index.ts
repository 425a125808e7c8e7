export { lockedConclaveFace, type LockedFaceOptions } from './locked-face.ts'
export { conclaveFace, conclaveServerOptions, type ConclaveFaceOptions } from './face.ts'
