import { ImagePullFailed } from './errors.ts'

/*
 * How an image is named: `[host[:port]/]repository[:tag|@digest]`. Source: reference/mesos.md §17.
 */

/** One image of one registry. */
export interface ImageReference {
  /** `https://host:port`, without a path. */
  readonly origin: string
  /** `host[:port]`, as credentials are listed for. */
  readonly host: string
  readonly repository: string
  /** A tag, or a digest such as `sha256:…`. */
  readonly reference: string
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const repositoryName = new RegExp(`^${component}(?:/${component})*$`)
const tagName = /^\w[\w.-]{0,127}$/
const hostName = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?$/
export const digestName = /^sha256:[0-9a-f]{64}$/

const nameLengthMax = 512

/**
 * Reads the name of an image.
 *
 * @param defaultRegistry the URL of the registry of names without one
 * @throws ImagePullFailed
 */
export function parseImageReference(name: string, defaultRegistry: string): ImageReference {
  const fail = (why: string): ImagePullFailed =>
    new ImagePullFailed(`Failed to parse docker image '${name.slice(0, nameLengthMax)}': ${why}`)
  if (name.length > nameLengthMax) throw fail(`it is longer than ${nameLengthMax} characters`)
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isHost = /[.:]/.test(first) || first === 'localhost'
  if (isHost && !hostName.test(first)) throw fail('its registry is no host')
  const { repository, reference } = split(isHost ? name.slice(slash + 1) : name)
  const origin = isHost ? `${schemeOf(first)}://${first}` : new URL(defaultRegistry).origin
  const host = isHost ? first : new URL(defaultRegistry).host
  const isLibrary = host.includes('docker.io') && !repository.includes('/')
  const whole = isLibrary ? `library/${repository}` : repository
  if (whole.length > 255 || !repositoryName.test(whole)) throw fail('its repository is no name')
  if (!tagName.test(reference) && !digestName.test(reference)) {
    throw fail('its tag or digest is none')
  }
  return { origin, host, repository: whole, reference }
}

function split(path: string): { readonly repository: string; readonly reference: string } {
  const at = path.indexOf('@')
  if (at >= 0) {
    // A tag beside a digest says nothing more.
    const [repository = ''] = path.slice(0, at).split(':')
    return { repository, reference: path.slice(at + 1) }
  }
  const colon = path.lastIndexOf(':')
  if (colon < 0) return { repository: path, reference: 'latest' }
  return { repository: path.slice(0, colon), reference: path.slice(colon + 1) }
}

/** Plain HTTP for whom nobody could listen to: this machine itself; and for port 80, which is that. */
function schemeOf(host: string): 'http' | 'https' {
  const [name = '', port] = host.split(':')
  if (port === '80') return 'http'
  const isHere = name === 'localhost' || name === '127.0.0.1'
  return isHere && port !== undefined && port !== '443' ? 'http' : 'https'
}
