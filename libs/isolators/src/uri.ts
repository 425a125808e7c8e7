import { posix } from 'node:path'
import type { RedactedBytes } from '@conclave/kernel'
import { secretProblem, type CommandInfo, type Secret, type Uri } from '@conclave/model'
import { ContainerSpecRefused, quoted } from './refusal.ts'

/*
 * URIs that are fetched into the sandbox before the start. Source: reference/mesos.md §19; credentials
 * for them are the future work of the talk, and ours.
 */

/** The secrets of one URI, resolved: for whoever fetches it, and for nobody in the container. */
export interface UriCredentials {
  readonly authorization?: RedactedBytes | undefined
  readonly clientCertificate?: RedactedBytes | undefined
  readonly authority?: RedactedBytes | undefined
}

/** One URI as it is to be fetched. */
export interface UriWanted {
  readonly value: string
  /** Below the sandbox, relative and normal. */
  readonly outputFile: string
  readonly isExecutable: boolean
  readonly isExtracted: boolean
  readonly secrets: UriCredentials
}

/** Something that came of a URI: `path` is below the sandbox, after the directory that it is in. */
export type FetchedFile =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | {
      readonly kind: 'file'
      readonly path: string
      readonly mode: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }

/** The port: who fetches for a machine. */
export interface UriSource {
  /** @throws ConclaveError whose message may be shown */
  filesOf(wanted: UriWanted, signal: AbortSignal): Promise<readonly FetchedFile[]>
}

type CredentialName = keyof UriCredentials

/** A URI whose secrets are not resolved yet. */
export interface PlannedUri {
  readonly wanted: Omit<UriWanted, 'secrets'>
  readonly secrets: readonly { readonly name: CredentialName; readonly secret: Secret }[]
}

const schemes = ['http:', 'https:', 'file:']

/** @throws PlanRefused for a URI that nobody could fetch into the sandbox */
export function urisOf({ uris }: CommandInfo): readonly PlannedUri[] {
  return uris.map((uri, index) => {
    const { value, executable = false, extract = true } = uri
    const refuse = (why: string): ContainerSpecRefused =>
      // Not the URI itself: it may have a password in it.
      new ContainerSpecRefused(`command.uris[${index}] cannot be fetched: ${why}`)
    if (!URL.canParse(value)) throw refuse('its value is no URI')
    const { protocol, pathname } = new URL(value)
    if (!schemes.includes(protocol))
      throw refuse(`${quoted(protocol)} is not one of ${schemes.join(', ')}`)
    const outputFile = uri.output_file ?? nameIn(pathname)
    const fault = fileFault(outputFile)
    if (fault !== undefined) throw refuse(`its output file ${quoted(outputFile)} ${fault}`)
    const secrets = secretsOf(uri)
    const problem = secrets
      .map(({ secret }) => secretProblem(secret))
      .find((one) => one !== undefined)
    if (problem !== undefined) throw refuse(`it specifies an invalid secret: ${problem}`)
    if (secrets.length > 0 && protocol === 'file:') throw refuse('a file takes no credentials')
    if (secrets.length > 0 && protocol === 'http:' && !isHere(value)) {
      throw refuse('credentials are sent over https alone')
    }
    const wanted = {
      value,
      outputFile: posix.normalize(outputFile),
      isExecutable: executable,
      isExtracted: extract,
    }
    return { wanted, secrets }
  })
}

/** This machine itself, where nobody else listens. */
const isHere = (value: string): boolean =>
  ['localhost', '127.0.0.1', '[::1]'].includes(new URL(value).hostname)

function nameIn(pathname: string): string {
  const name = posix.basename(pathname)
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function fileFault(path: string): string | undefined {
  if (path === '' || path === '.' || path.endsWith('/')) return 'is no name of a file'
  if (path.startsWith('/')) return 'is not relative to the sandbox'
  if (path.split('/').includes('..')) return 'has a ".." component'
  if (path.length > 4096 || /\p{Cc}/u.test(path)) return 'is no path'
  return undefined
}

function secretsOf({ secrets }: Uri): PlannedUri['secrets'] {
  const named = [
    ['authorization', secrets?.authorization],
    ['clientCertificate', secrets?.client_certificate],
    ['authority', secrets?.authority],
  ] as const
  return named.flatMap(([name, secret]) => (secret === undefined ? [] : [{ name, secret }]))
}

/** The URIs with their secrets, which `values` has in order. */
export function withCredentials(
  uris: readonly PlannedUri[],
  values: readonly RedactedBytes[],
): readonly UriWanted[] {
  let used = 0
  return uris.map(({ wanted, secrets }) => {
    const credentials = secrets.map(({ name }) => [name, values[used++]] as const)
    return { ...wanted, secrets: Object.fromEntries(credentials) }
  })
}
