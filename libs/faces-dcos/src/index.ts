export { dcosFace, dcosServerOptions } from './face.ts'
