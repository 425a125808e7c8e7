/*
 * How Docker names an image: `[registry/]repository[:tag][@digest]`, where a name without a registry is one
 * of Docker Hub, and one without a slash is below its `library`. Source: distribution/reference, as the
 * docker CLI has it.
 */

/** A name, whole: what was left out is filled in. */
export interface ImageName {
  /** `docker.io`, or `host[:port]`. */
  readonly registry: string
  /** `library/redis`, `eon01/infinite`. */
  readonly repository: string
  /** As people write it: `redis`, `eon01/infinite`, `localhost:5000/app`. */
  readonly familiar: string
  /** `latest` where the name has neither a tag nor a digest. */
  readonly tag: string | undefined
  /** `sha256:` and 64 hex digits. */
  readonly digest: string | undefined
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const repositoryName = new RegExp(`^${component}(?:/${component})*$`)
const hostName =
  /^(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*(?::\d{1,5})?$/
const tagName = /^\w[\w.-]{0,127}$/
const digestName = /^sha256:[0-9a-f]{64}$/
/** What would be an id is no name. */
const idName = /^[0-9a-f]{64}$/

const nameLengthMax = 512
const repositoryLengthMax = 255
export const hub = 'docker.io'
const hubNames: readonly string[] = [hub, 'index.docker.io', 'registry-1.docker.io']

/** What `text` names, or undefined when it is no name of an image. */
export function parseImageName(text: string): ImageName | undefined {
  if (text.length > nameLengthMax || idName.test(text)) return undefined
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !digestName.test(digest)) return undefined
  const beforeDigest = at < 0 ? text : text.slice(0, at)
  const slash = beforeDigest.indexOf('/')
  const first = slash < 0 ? '' : beforeDigest.slice(0, slash)
  const hasRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  if (hasRegistry && !hostName.test(first)) return undefined
  const path = hasRegistry ? beforeDigest.slice(slash + 1) : beforeDigest
  const colon = path.lastIndexOf(':')
  const tag = colon < 0 ? undefined : path.slice(colon + 1)
  if (tag !== undefined && !tagName.test(tag)) return undefined
  const named = colon < 0 ? path : path.slice(0, colon)
  const registry = hasRegistry && !hubNames.includes(first) ? first : hub
  const isLibrary = registry === hub && !named.includes('/')
  const repository = isLibrary ? `library/${named}` : named
  const familiar =
    registry === hub ? repository.replace(/^library\//, '') : `${registry}/${repository}`
  const isTooLong = registry.length + repository.length + 1 > repositoryLengthMax
  if (isTooLong || !repositoryName.test(repository)) return undefined
  const usualTag = tag === undefined && digest === undefined ? 'latest' : tag
  return { registry, repository, familiar, tag: usualTag, digest }
}

/** `redis:7`, `redis@sha256:…`: the name as people write it, with its tag. */
export const familiarName = ({ familiar, tag, digest }: ImageName): string =>
  tag === undefined ? `${familiar}@${digest ?? ''}` : `${familiar}:${tag}`
