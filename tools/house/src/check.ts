import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import {
  floors,
  isLayer,
  isType,
  layerOf,
  pureBuiltins,
  randomNames,
  refusal,
  type Layer,
  type Type,
} from './floors.ts'
import { codeOnly, withoutComments } from './lexer.ts'
import type { Manifest, Room } from './rooms.ts'

/** One broken rule: where, which, and what would mend it. */
export interface Fault {
  /** A path from the root of the house, with a line where there is one. */
  readonly at: string
  readonly rule: Rule
  readonly message: string
}

export type Rule =
  | 'builtin'
  | 'cycle'
  | 'floor'
  | 'manifest'
  | 'name'
  | 'purity'
  | 'relative'
  | 'self'
  | 'undeclared'
  | 'unused'

/** Every fault of the house, room by room. */
export function check(rooms: readonly Room[], rootManifest: Manifest): readonly Fault[] {
  const byName = new Map(rooms.map((room) => [room.manifest.name ?? '', room]))
  return [
    ...rooms.flatMap((room) => [
      ...manifestFaults(room),
      ...dependencyFaults(room, byName),
      ...nameFaults(room),
      ...[...room.files].flatMap(([file, source]) => [
        ...importFaults(room, file, source, byName, rootManifest),
        ...purityFaults(room, file, source),
      ]),
    ]),
    ...cycleFaults(rooms, byName),
  ]
}

// ── what a room says of itself ──────────────────────────────────────────────────────────────────

interface Place {
  readonly layer: Layer
  readonly type: Type
}

function placeOf({ manifest }: Room): Place | undefined {
  const tag = (kind: string): string | undefined =>
    manifest.nx?.tags?.find((text) => text.startsWith(`${kind}:`))?.slice(kind.length + 1)
  const layer = tag('layer')
  const type = tag('type')
  return isLayer(layer) && isType(type) ? { layer, type } : undefined
}

function manifestFaults(room: Room): readonly Fault[] {
  const { directory, manifest } = room
  const at = `${directory}/package.json`
  const fault = (message: string): Fault => ({ at, rule: 'manifest', message })
  const faults: Fault[] = []
  const name = `@conclave/${posix.basename(directory)}`
  const layer = layerOf(directory)
  if (manifest.name !== name) faults.push(fault(`the room in ${directory} is called ${name}`))
  if (manifest.private !== true || manifest.type !== 'module') {
    faults.push(fault('a room is "private": true and "type": "module"'))
  }
  if (layer === undefined) {
    faults.push(fault('no floor has this room: add it to the table in tools/house/src/floors.ts'))
  } else if (placeOf(room)?.layer !== layer) {
    faults.push(fault(`its tags need "layer:${layer}" and a "type:", as the table says`))
  }
  if (manifest.nx?.tags?.some((tag) => tag.startsWith('scope:')) !== true) {
    faults.push(fault('its tags need a "scope:", the dialect it speaks or "shared"'))
  }
  for (const target of ['typecheck', 'test']) {
    if (manifest.nx?.targets?.[target] === undefined) {
      faults.push(fault(`its nx targets need "${target}", or nobody runs it`))
    }
  }
  for (const [entry, file] of Object.entries(manifest.exports ?? {})) {
    if (!room.files.has(file.replace(/^\.\//, ''))) {
      faults.push(fault(`"exports" offers ${entry} at ${file}, which is not there`))
    }
  }
  if (!room.others.includes('README.md')) faults.push(fault('the room has no README.md'))
  return faults
}

// ── what a room asks for ────────────────────────────────────────────────────────────────────────

/** The first fault of each dependency: its version, its floor, or that nobody imports it. */
function dependencyFaults(room: Room, byName: ReadonlyMap<string, Room>): readonly Fault[] {
  const at = `${room.directory}/package.json`
  const { dependencies, devDependencies } = room.manifest
  const imported = new Set(
    [...room.files.values()].flatMap((source) =>
      importsOf(source).map(({ specifier }) => packageOf(specifier)),
    ),
  )
  const faults = [
    ...Object.entries(dependencies ?? {}).map(
      ([name, version]) =>
        versionFault(name, version) ?? floorFault(room, name, byName) ?? useFault(name, imported),
    ),
    ...Object.entries(devDependencies ?? {}).map(
      ([name, version]) => versionFault(name, version) ?? useFault(name, imported),
    ),
  ]
  return faults.flatMap((fault) => (fault === undefined ? [] : [{ at, ...fault }]))
}

type PlacelessFault = Omit<Fault, 'at'>

function versionFault(name: string, version: string): PlacelessFault | undefined {
  const isOurs = name.startsWith('@conclave/')
  const isExact = isOurs ? version === '*' : /^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)
  if (isExact) return undefined
  const message = `${name} is "${version}"; say ${isOurs ? '"*"' : 'one exact version'}`
  return { rule: 'manifest', message }
}

/** What a package.json wants must be allowed even where no file imports it yet. */
function floorFault(
  room: Room,
  name: string,
  byName: ReadonlyMap<string, Room>,
): PlacelessFault | undefined {
  const from = placeOf(room)
  if (from === undefined || !name.startsWith('@conclave/')) return undefined
  const other = byName.get(name)
  const to = other === undefined ? undefined : placeOf(other)
  if (to === undefined) return { rule: 'undeclared', message: `there is no room ${name}` }
  const why = refusal(from, to, false)
  return why === undefined ? undefined : { rule: 'floor', message: `${name}: ${why}` }
}

const useFault = (name: string, imported: ReadonlySet<string>): PlacelessFault | undefined =>
  imported.has(name) ? undefined : { rule: 'unused', message: `no file imports ${name}` }

const vagueNames = new Set(['common', 'constants', 'helpers', 'misc', 'types', 'util', 'utils'])

function nameFaults({ directory, files }: Room): readonly Fault[] {
  return [...files.keys()].flatMap((file): Fault[] => {
    const name = posix.basename(file).replace(/(?:\.\w+)*\.tsx?$/, '')
    const fault = (message: string): Fault[] => [
      { at: `${directory}/${file}`, rule: 'name', message },
    ]
    if (vagueNames.has(name)) return fault('what is in it has not found its name yet')
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) return fault('file names are kebab-case')
    return []
  })
}

// ── what its files import ───────────────────────────────────────────────────────────────────────

const specifierPattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\1/g
const builtins = new Set(builtinModules.flatMap((name) => [name, name.split('/')[0] ?? name]))

const isTestFile = (file: string): boolean =>
  /\.(?:test|bench|contract|acceptance)\.tsx?$/.test(file) ||
  /(?:^|\/)(?:test|testing)\//.test(file)

const lineOf = (source: string, offset: number): number =>
  source.slice(0, offset).split('\n').length

function importFaults(
  room: Room,
  file: string,
  source: string,
  byName: ReadonlyMap<string, Room>,
  rootManifest: Manifest,
): readonly Fault[] {
  return importsOf(source).flatMap(({ specifier, offset }): Fault[] => {
    const found = specifierFault(room, file, specifier, byName, rootManifest)
    const at = `${room.directory}/${file}:${lineOf(source, offset)}`
    return found === undefined ? [] : [{ at, ...found }]
  })
}

interface Import {
  readonly specifier: string
  readonly offset: number
}

function importsOf(source: string): readonly Import[] {
  // Only what begins outside a string is an import: a test may hold another file's text.
  const visible = codeOnly(source)
  return [...withoutComments(source).matchAll(specifierPattern)]
    .filter(({ index, 0: text }) => visible.slice(index, index + 4) === text.slice(0, 4))
    .map(({ index, 2: specifier = '' }) => ({ specifier, offset: index }))
}

/** `@scope/name` or `name`: the package that a specifier leads into. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

function specifierFault(
  room: Room,
  file: string,
  specifier: string,
  byName: ReadonlyMap<string, Room>,
  rootManifest: Manifest,
): PlacelessFault | undefined {
  if (specifier.startsWith('.')) {
    const target = posix.normalize(posix.join(posix.dirname(file), specifier))
    return target.startsWith('..')
      ? { rule: 'relative', message: `${specifier} leaves the room: import it by its name` }
      : undefined
  }
  if (specifier.startsWith('node:')) return undefined
  const name = packageOf(specifier)
  if (builtins.has(name)) return { rule: 'builtin', message: `say node:${specifier}` }
  if (name === room.manifest.name) {
    return { rule: 'self', message: `${specifier} is this room: import the file` }
  }
  const isTest = isTestFile(file)
  const declared = {
    ...room.manifest.dependencies,
    ...(isTest ? { ...room.manifest.devDependencies, ...rootManifest.devDependencies } : {}),
  }
  if (!Object.hasOwn(declared, name)) {
    const where = isTest ? 'dependencies or devDependencies' : 'dependencies'
    return { rule: 'undeclared', message: `${name} is not in this room's ${where}` }
  }
  const other = byName.get(name)
  const from = placeOf(room)
  const to = other === undefined ? undefined : placeOf(other)
  const why = from && to && refusal(from, to, isTest)
  return why === undefined ? undefined : { rule: 'floor', message: `${name}: ${why}` }
}

// ── what pure rooms may not touch ───────────────────────────────────────────────────────────────

/** Globals that answer differently each time, or do something outside. */
const impureCode: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b/g, 'time comes through the Clock port'],
  [/\bMath\.random\b|\bcrypto\.(?:getRandomValues|randomUUID)\b/g, 'dice come through Random'],
  [
    /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/g,
    'a pure room is told ticks, it does not wait',
  ],
  [
    /\bprocess\.(?!\w+\s*[:=]>)(?:env|argv|exit|hrtime|nextTick|cwd|pid|on|stdout|stderr|stdin|memoryUsage)\b/g,
    'the process belongs to the apps',
  ],
  [/(?<![.\w])fetch\s*\(/g, 'sockets belong to the edges'],
  [/\bconsole\.\w+/g, 'only edges and apps log: answer with an event'],
]

function purityFaults(room: Room, file: string, source: string): readonly Fault[] {
  const layer = layerOf(room.directory)
  if (layer === undefined || !floors[layer].isPure || isTestFile(file)) return []
  const visible = codeOnly(source)
  const at = (offset: number): string => `${room.directory}/${file}:${lineOf(source, offset)}`
  const touched = impureCode.flatMap(([pattern, why]) =>
    [...visible.matchAll(pattern)]
      // A process of the simulated machine is a variable like any other.
      .filter(({ 0: text }) => !(text.startsWith('process.') && declaresProcess(visible)))
      .map((match): Fault => ({
        at: at(match.index),
        rule: 'purity',
        message: `${match[0].trim()}: ${why}`,
      })),
  )
  const imported = [...withoutComments(source).matchAll(importPattern)].flatMap(
    (match): Fault[] => {
      const [, names = '', , module = ''] = match
      const fault = (message: string): Fault[] => [{ at: at(match.index), rule: 'purity', message }]
      if (!module.startsWith('node:')) return []
      if (!pureBuiltins.includes(module)) return fault(`${module} is for edges and apps`)
      if (module !== 'node:crypto' && module !== 'node:util') return []
      const dice = names.split(/[{},\s]+/).filter((name) => randomNames.includes(name))
      if (dice.length > 0) return fault(`${dice.join(', ')}: dice come through Random`)
      return /\*|^\s*\w/.test(names.replace(/^\s*type\b/, '').trim())
        ? fault(`import from ${module} by name, so that one sees what is used`)
        : []
    },
  )
  return [...touched, ...imported]
}

const importPattern = /\bimport\s+([^'"]*?)\s*\bfrom\s*(['"])([^'"\n]+)\2/g

const declaresProcess = (code: string): boolean =>
  /\b(?:const|let)\s+(?:\{[^}]*\b)?process\b|[(,]\s*process\s*[:,)]|\bprocess\s*=>|\bof\b.*\bprocess\b|readonly process\b/.test(
    code,
  )

// ── rooms that lean on each other ───────────────────────────────────────────────────────────────

function cycleFaults(rooms: readonly Room[], byName: ReadonlyMap<string, Room>): readonly Fault[] {
  const done = new Set<string>()
  const faults: Fault[] = []
  const visit = (name: string, path: readonly string[]): void => {
    const start = path.indexOf(name)
    if (start >= 0) {
      const circle = [...path.slice(start), name].join(' → ')
      const at = `${byName.get(name)?.directory ?? name}/package.json`
      faults.push({ at, rule: 'cycle', message: circle })
      return
    }
    if (done.has(name)) return
    for (const next of Object.keys(byName.get(name)?.manifest.dependencies ?? {})) {
      if (byName.has(next)) visit(next, [...path, name])
    }
    done.add(name)
  }
  for (const { manifest } of rooms) visit(manifest.name ?? '', [])
  return faults
}
