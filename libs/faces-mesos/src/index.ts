export { mesosFace, mesosServerOptions } from './face.ts'
