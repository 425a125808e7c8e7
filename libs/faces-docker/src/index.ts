export { dockerFace, dockerServerOptions } from './face.ts'
export type { Engine } from './engine.ts'
