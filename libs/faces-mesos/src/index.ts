export { lockedMesosFace } from './locked-face.ts'
export { mesosFace, mesosServerOptions } from './face.ts'
