/*
 * Which API a client speaks. Source: reference docker-swarm.md A2.
 */

/** The newest that is spoken here; every docker CLI from 20.10 to 29 can agree on it or on an older one. */
export const apiVersion = '1.47'
export const apiVersionMin = '1.24'

export interface Versioned {
  /** `[1, 41]`: what the client asked in, or the newest when it did not say. */
  readonly version: readonly [major: number, minor: number]
  /** The URL without the version. */
  readonly url: string
}

export type VersionRefusal =
  | { readonly refused: 'too-new'; readonly message: string }
  | { readonly refused: 'too-old'; readonly message: string }

/** The version in front of a path, such as `/v1.41/secrets`, and what is behind it. */
export function splitVersion(url: string): Versioned | VersionRefusal {
  const found = /^\/v(\d{1,4})\.(\d{1,4})(?=\/|$)/.exec(url)
  if (found === null) return { version: parts(apiVersion), url }
  const version = [Number(found[1]), Number(found[2])] as const
  const text = `${version[0]}.${version[1]}`
  if (isBelow(parts(apiVersion), version)) {
    const message = `client version ${text} is too new. Maximum supported API version is ${apiVersion}`
    return { refused: 'too-new', message }
  }
  if (isBelow(version, parts(apiVersionMin))) {
    const message = `client version ${text} is too old. Minimum supported API version is ${apiVersionMin}, please upgrade your client to a newer version`
    return { refused: 'too-old', message }
  }
  return { version, url: url.slice(found[0].length) || '/' }
}

/** Whether a client of `version` knows what came with `since`, such as `1.42`. */
export const speaks = (version: Versioned['version'], since: string): boolean =>
  !isBelow(version, parts(since))

const parts = (text: string): readonly [number, number] => {
  const [major = 0, minor = 0] = text.split('.').map(Number)
  return [major, minor]
}

const isBelow = (one: readonly [number, number], other: readonly [number, number]): boolean =>
  one[0] < other[0] || (one[0] === other[0] && one[1] < other[1])
