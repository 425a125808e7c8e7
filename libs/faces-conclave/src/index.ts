export { conclaveFace, conclaveServerOptions, type ConclaveFaceOptions } from './face.ts'
