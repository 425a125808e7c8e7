import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One workspace package, as its package.json and its folder say. */
export interface Room {
  /** Such as `libs/raft`. */
  readonly directory: string
  readonly manifest: Manifest
  /** Every TypeScript file below `src`, `suites` and `test`, by its path inside the room. */
  readonly files: ReadonlyMap<string, string>
  /** Names of other files and folders at the top of the room. */
  readonly others: readonly string[]
}

export interface Manifest {
  readonly name?: string
  readonly version?: string
  readonly private?: boolean
  readonly type?: string
  readonly exports?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly nx?: {
    readonly tags?: readonly string[]
    readonly targets?: Readonly<Record<string, unknown>>
  }
}

const wings = ['apps', 'libs', 'tools']

/** All rooms of the house at `root`. */
export function readRooms(root: string): readonly Room[] {
  return wings
    .flatMap((wing) => namesIn(join(root, wing)).map((name) => `${wing}/${name}`))
    .filter((directory) => existsSync(join(root, directory, 'package.json')))
    .map((directory) => readRoom(root, directory))
}

function readRoom(root: string, directory: string): Room {
  const at = join(root, directory)
  return {
    directory,
    manifest: JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as Manifest,
    files: new Map(
      ['src', 'suites', 'test']
        .flatMap((folder) => sourcesBelow(at, folder))
        .map((file) => [file, readFileSync(join(at, file), 'utf8')]),
    ),
    others: namesIn(at).filter((name) => name !== 'node_modules'),
  }
}

function sourcesBelow(room: string, folder: string): readonly string[] {
  const at = join(room, folder)
  if (!existsSync(at)) return []
  return readdirSync(at, { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => /\.tsx?$/.test(file))
    .toSorted()
}

const namesIn = (directory: string): readonly string[] =>
  existsSync(directory) ? readdirSync(directory).toSorted() : []
