import { rpc } from './errors.ts'

/** Names of secrets and configs. Source: docker-swarm.md A6. */
const annotation = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$/
const annotationBytesMax = 64

export const isAnnotationName = (name: string): boolean =>
  Buffer.byteLength(name) <= annotationBytesMax && annotation.test(name)

/** @throws Refusal */
export function checkAnnotationName(name: string): void {
  if (name === '') throw rpc('InvalidArgument', 'name must be provided')
  if (isAnnotationName(name)) return
  throw rpc(
    'InvalidArgument',
    'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
  )
}
