import { createHash } from 'node:crypto'
import { utf8 } from '@conclave/kernel'
import type { Recipe } from './recipe.ts'
import type { RootEntry } from './root-entry.ts'

/** The configuration of an image, in the fields of OCI's and Docker's. */
export interface ImageConfiguration {
  readonly User: string
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>>
  readonly Env: readonly string[] | null
  readonly Entrypoint: readonly string[] | null
  readonly Cmd: readonly string[] | null
  readonly Volumes: Readonly<Record<string, Readonly<Record<string, never>>>> | null
  readonly WorkingDir: string
  readonly StopSignal?: string
  readonly Labels: Readonly<Record<string, string>>
}

/** An image that nobody pulled: what an `ImageSource` gives, and what is said of it. */
export interface SimulatedImage {
  /** As people write it, without a tag: `redis`. */
  readonly repository: string
  readonly tag: string
  /** Of its configuration: `sha256:…`. */
  readonly id: string
  /** Of its manifest, which is what a name may end in. */
  readonly digest: string
  /** Of its one layer. Of the files in it: there is no archive of them. */
  readonly layerDigest: string
  /** The manifest, as a registry would have it. */
  readonly manifest: Uint8Array
  readonly configuration: ImageConfiguration
  readonly createdAt: string
  /** What a machine lays down and runs: the isolators' `ImageRoot`. */
  readonly root: {
    readonly config: {
      readonly entrypoint: readonly string[]
      readonly command: readonly string[]
      readonly environment: ReadonlyMap<string, string>
      readonly workingDirectory: string | undefined
      readonly stopSignal: string | undefined
    }
    readonly entries: readonly RootEntry[]
    readonly sizeBytes: number
  }
}

/** Says in every listing that this is no real image. */
export const simulatedLabel = 'io.conclave.simulated'

/** All of them are as old as their descriptions: nothing about one depends on when it was asked for. */
const createdAt = '2026-11-26T00:00:00Z'

export const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'

export function makeImage(recipe: Recipe, tag: string): SimulatedImage {
  const { repository, entries } = recipe
  const sizeBytes = entries.reduce(
    (sum, entry) => sum + (entry.kind === 'file' ? entry.bytes.length : 0),
    0,
  )
  const layerDigest = digestOf(utf8(JSON.stringify(entries.map(describedEntry))))
  const configuration = configurationOf(recipe, tag)
  const config = utf8(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      created: createdAt,
      config: configuration,
      rootfs: { type: 'layers', diff_ids: [layerDigest] },
    }),
  )
  const id = digestOf(config)
  const manifest = utf8(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        size: config.length,
        digest: id,
      },
      layers: [
        {
          mediaType: 'application/vnd.docker.image.rootfs.diff.tar',
          size: sizeBytes,
          digest: layerDigest,
        },
      ],
    }),
  )
  const { entrypoint = [], command = [], environment = [], workingDirectory, stopSignal } = recipe
  const runs = {
    entrypoint,
    command,
    environment: new Map(environment.map(nameAndValue)),
    workingDirectory,
    stopSignal,
  }
  return {
    repository,
    tag,
    id,
    digest: digestOf(manifest),
    layerDigest,
    manifest,
    configuration,
    createdAt,
    root: { config: runs, entries, sizeBytes },
  }
}

function configurationOf(recipe: Recipe, tag: string): ImageConfiguration {
  const { entrypoint, command, environment, workingDirectory = '' } = recipe
  const { exposedPorts, volumes, stopSignal } = recipe
  return {
    User: '',
    ...(exposedPorts && { ExposedPorts: setOf(exposedPorts) }),
    Env: environment ?? null,
    Entrypoint: entrypoint ?? null,
    Cmd: command ?? null,
    Volumes: volumes === undefined ? null : setOf(volumes),
    WorkingDir: workingDirectory,
    ...(stopSignal !== undefined && { StopSignal: stopSignal }),
    Labels: {
      [simulatedLabel]: 'true',
      'org.opencontainers.image.description': `A stand-in for ${recipe.repository}, simulated by Conclave: ${recipe.description}. Nothing of the real image is in it.`,
      'org.opencontainers.image.version': tag,
    },
  }
}

const setOf = (
  names: readonly string[],
): Readonly<Record<string, Readonly<Record<string, never>>>> =>
  Object.fromEntries(names.map((name) => [name, {}]))

const nameAndValue = (text: string): readonly [string, string] => {
  const at = text.indexOf('=')
  return [text.slice(0, at), text.slice(at + 1)]
}

const describedEntry = (entry: RootEntry): object => ({
  ...entry,
  ...(entry.kind === 'file' && { bytes: digestOf(entry.bytes) }),
})

const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`
