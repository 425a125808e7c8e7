export { lockedDcosFace } from './locked-face.ts'
export { dcosFace, dcosServerOptions } from './face.ts'
