/*
 * The one table of the house: which floors there are, what each may stand on, and which room is on
 * which. docs/architecture.md draws it, docs/adr/0001 says why.
 */

export type Layer = 'ground' | 'words' | 'core' | 'actor' | 'edge' | 'lab' | 'kit' | 'app' | 'tool'

interface Floor {
  /** The floors that production code of a room here may import. */
  readonly standsOn: readonly Layer[]
  /** No clock, dice, disk, network or environment: only what a caller hands in. */
  readonly isPure: boolean
  readonly rooms: readonly string[]
}

export const floors: Readonly<Record<Layer, Floor>> = {
  ground: { standsOn: [], isPure: true, rooms: ['kernel'] },
  words: { standsOn: ['ground'], isPure: true, rooms: ['model', 'crypto'] },
  core: {
    // Not `core`: cores meet only in an actor, through a port.
    standsOn: ['words', 'ground'],
    isPure: true,
    rooms: [
      'raft',
      'store',
      'cluster',
      'workloads',
      'resolver',
      'isolators',
      'templates',
      'shell',
      'simulated-images',
    ],
  },
  actor: { standsOn: ['core', 'words', 'ground'], isPure: true, rooms: ['actors'] },
  edge: {
    // `assembly` wires a master, an agent and a scheduler together, so it imports every other edge.
    standsOn: ['edge', 'actor', 'core', 'words', 'ground'],
    isPure: false,
    rooms: [
      'journal',
      'runtime',
      'peer-redis',
      'engine-etcd',
      'resolver-modules',
      'secret-plugins',
      'registry',
      'image-puller',
      'uri-fetcher',
      'transfer',
      'assembly',
      'candidate',
      'faces-mesos',
      'faces-mesos-agent',
      'faces-dcos',
      'faces-conclave',
      'faces-docker',
    ],
  },
  lab: {
    standsOn: ['edge', 'actor', 'core', 'words', 'ground', 'kit'],
    isPure: false,
    rooms: ['simulation'],
  },
  kit: { standsOn: ['ground'], isPure: false, rooms: ['testkit'] },
  app: {
    // The kit is for tests. Apps may have it too because the tour of `conclave up` searches the
    // running cluster for canaries, with the very scanner that the tests trust.
    standsOn: ['edge', 'actor', 'core', 'words', 'ground', 'kit'],
    isPure: false,
    rooms: ['master', 'agent', 'scheduler', 'cli', 'web'],
  },
  tool: {
    standsOn: ['tool', 'app', 'lab', 'edge', 'actor', 'core', 'words', 'ground', 'kit'],
    isPure: false,
    rooms: ['house', 'acceptance', 'bench', 'corpus', 'simulate', 'mutants'],
  },
}

export const types = ['lib', 'face', 'app', 'tool'] as const
export type Type = (typeof types)[number]

export const isLayer = (name: string | undefined): name is Layer =>
  name !== undefined && Object.hasOwn(floors, name)

export const isType = (name: string | undefined): name is Type =>
  types.some((type) => type === name)

/** The floor that the table gives the room in a directory such as `libs/raft`. */
export function layerOf(directory: string): Layer | undefined {
  const name = directory.slice(directory.lastIndexOf('/') + 1)
  return Object.keys(floors)
    .filter(isLayer)
    .find((layer) => floors[layer].rooms.includes(name))
}

interface Side {
  readonly layer: Layer
  readonly type: Type
}

/** Why `from` may not import `to`, or undefined when it may. */
export function refusal(from: Side, to: Side, isTest: boolean): string | undefined {
  if (from.type === 'face' && to.type === 'face') return 'a face never imports a face'
  if (to.layer === 'kit' && isTest) return undefined
  if (floors[from.layer].standsOn.includes(to.layer)) return undefined
  if (from.layer === 'core' && to.layer === 'core') return 'cores never know each other'
  if (to.layer === 'kit') return 'the test kit is for tests'
  return `${from.layer} does not stand on ${to.layer}`
}

/** Builtin modules that answer the same to the same arguments. Of node:crypto only that half. */
export const pureBuiltins: readonly string[] = [
  'node:assert',
  'node:buffer',
  'node:crypto',
  'node:path',
  'node:path/posix',
  'node:string_decoder',
  'node:util',
  'node:zlib',
]

/** What of node:crypto and node:util throws dice: a pure room gets them through `Random`. */
export const randomNames: readonly string[] = [
  'checkPrime',
  'generateKey',
  'generateKeyPair',
  'generateKeyPairSync',
  'generateKeySync',
  'generatePrime',
  'generatePrimeSync',
  'getRandomValues',
  'randomBytes',
  'randomFill',
  'randomFillSync',
  'randomInt',
  'randomUUID',
  'webcrypto',
]
