import { readFileSync } from 'node:fs'

/*
 * What a real Engine was asked and answered (docker-swarm.md, [R]): 20.10.24 with a docker CLI 28.2.2.
 */

export interface Exchange {
  /** Such as `GET /v1.41/nodes`. */
  readonly request: string
  readonly status: number
  readonly body?: unknown
  /** `see objects.json` where many share one. */
  readonly response?: unknown
  /** How often the CLI asked it, until all was as it should be. */
  readonly polled?: number
  readonly stream?: {
    readonly serverText?: string
    readonly serverFrames?: readonly { readonly stream: number; readonly data: string }[]
  }
}

export interface Step {
  readonly command: string
  readonly stdout: string
  readonly http: readonly Exchange[]
}

export interface RecordedError {
  readonly cli?: string
  readonly when?: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly message: string
}

const read = (name: string): unknown =>
  JSON.parse(
    readFileSync(new URL(`../../testdata/docker-swarm/${name}.json`, import.meta.url), 'utf8'),
  )

export const walkthrough = (read('walkthrough') as { steps: readonly Step[] }).steps
export const recordedErrors = read('errors') as readonly RecordedError[]
export const recordedObjects = read('objects') as Readonly<Record<string, unknown>>

/** All exchanges there are. */
export const recordedCount =
  recordedErrors.length + walkthrough.reduce((sum, { http }) => sum + http.length, 0)
