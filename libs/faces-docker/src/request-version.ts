import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { splitVersion, type Versioned, type VersionRefusal } from './versions.ts'

const asked = new WeakMap<IncomingMessage, Versioned | VersionRefusal>()

/** Takes the version out of a request's path, before its route is looked for, and remembers it. */
export function takeVersion(request: IncomingMessage): string {
  const split = splitVersion(request.url ?? '/')
  asked.set(request, split)
  return 'url' in split ? split.url : '/'
}

/** Why a request in that version is not answered, if it is not. */
export function versionRefusalOf({ raw }: FastifyRequest): VersionRefusal | undefined {
  const split = asked.get(raw)
  return split !== undefined && 'refused' in split ? split : undefined
}

/** The version that a request is made in. */
export function versionOf({ raw }: FastifyRequest): Versioned['version'] {
  const split = asked.get(raw) ?? splitVersion('/')
  return 'version' in split ? split.version : [0, 0]
}
