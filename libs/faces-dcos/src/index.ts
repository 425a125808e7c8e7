export { lockedDcosFace } from './locked-face.ts'
export { readLane } from './read-lane.ts'
export { dcosFace, dcosServerOptions } from './face.ts'
