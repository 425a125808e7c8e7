import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { check, type Rule } from './check.ts'
import { readRooms, type Manifest } from './rooms.ts'

const rootManifest: Manifest = { devDependencies: { vitest: '5.1.1' } }

interface Planted {
  readonly manifest?: object
  readonly files?: Readonly<Record<string, string>>
  readonly withoutReadme?: boolean
}

const houses: string[] = []
afterEach(() => {
  for (const house of houses.splice(0)) rmSync(house, { recursive: true, force: true })
})

const kinds: Readonly<Record<string, readonly [layer: string, type: string]>> = {
  'libs/kernel': ['ground', 'lib'],
  'libs/model': ['words', 'lib'],
  'libs/raft': ['core', 'lib'],
  'libs/store': ['core', 'lib'],
  'libs/actors': ['actor', 'lib'],
  'libs/runtime': ['edge', 'lib'],
  'libs/faces-mesos': ['edge', 'face'],
  'libs/faces-dcos': ['edge', 'face'],
  'libs/testkit': ['kit', 'lib'],
  'apps/master': ['app', 'app'],
}

/** A small house on disk that is in order, but for what is planted in it. */
function plant(rooms: Readonly<Record<string, Planted>>): readonly string[] {
  const house = mkdtempSync(join(tmpdir(), 'conclave-house-'))
  houses.push(house)
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(house, file)), { recursive: true })
    writeFileSync(join(house, file), text)
  }
  for (const directory of new Set([...Object.keys(kinds), ...Object.keys(rooms)])) {
    const [layer = 'core', type = 'lib'] = kinds[directory] ?? []
    const { manifest, files, withoutReadme } = rooms[directory] ?? {}
    const whole = {
      name: `@conclave/${directory.split('/')[1]}`,
      private: true,
      type: 'module',
      exports: { '.': './src/index.ts' },
      nx: {
        tags: [`layer:${layer}`, 'scope:shared', `type:${type}`],
        targets: { typecheck: {}, test: {} },
      },
      ...manifest,
    }
    write(`${directory}/package.json`, JSON.stringify(whole))
    write(`${directory}/src/index.ts`, 'export {}\n')
    if (withoutReadme !== true) write(`${directory}/README.md`, '# a room\n')
    for (const [file, text] of Object.entries(files ?? {})) write(`${directory}/${file}`, text)
  }
  return check(readRooms(house), rootManifest).map(
    ({ at, rule, message }) => `${rule} ${at} ${message}`,
  )
}

/** What one file in one room, with these dependencies, is accused of. */
const accused = (
  directory: string,
  source: string,
  dependencies: Readonly<Record<string, string>> = {},
  file = 'src/planted.ts',
): readonly string[] =>
  plant({ [directory]: { manifest: { dependencies }, files: { [file]: source } } })

/** A room that wants another one and imports it. */
const leaning = (on: string): Planted => ({
  manifest: { dependencies: { [on]: '*' } },
  files: { 'src/planted.ts': `import '${on}'` },
})

describe('the house', () => {
  test('is in order when nothing is planted', () => {
    expect(plant({})).toEqual([])
  })

  test('accepts what the floors allow', () => {
    const allowed = `
      import { hash } from 'node:crypto'
      import type { Clock } from '@conclave/kernel'
      // import { readFile } from 'node:fs'; Date.now() in a comment
      export const text = "import { x } from 'lodash'; setTimeout(1)"
      export const at = (clock: Clock): Date => new Date(clock.nowMs())
      export { hash }
    `
    expect(accused('libs/raft', allowed, { '@conclave/kernel': '*' })).toEqual([])
  })

  const planted: readonly [
    what: string,
    rule: Rule,
    directory: string,
    source: string,
    dependencies?: Readonly<Record<string, string>>,
  ][] = [
    [
      'an import that leaves its room',
      'relative',
      'libs/raft',
      "import '../../store/src/index.ts'",
    ],
    ['a builtin without node:', 'builtin', 'libs/runtime', "import { join } from 'path'"],
    ['a package that is not declared', 'undeclared', 'libs/runtime', "import pino from 'pino'"],
    ['a room that is not declared', 'undeclared', 'libs/raft', "import '@conclave/kernel'"],
    ['a dynamic import that is not declared', 'undeclared', 'libs/runtime', "await import('pino')"],
    ['an export from what is not declared', 'undeclared', 'libs/runtime', "export * from 'pino'"],
    ['a room that imports itself by name', 'self', 'libs/raft', "import '@conclave/raft'"],
    ['a core that knows another core', 'floor', 'libs/raft', '', { '@conclave/store': '*' }],
    ['a word that looks up to a core', 'floor', 'libs/model', '', { '@conclave/raft': '*' }],
    ['an actor that stands on an edge', 'floor', 'libs/actors', '', { '@conclave/runtime': '*' }],
    ['a face that knows a face', 'floor', 'libs/faces-mesos', '', { '@conclave/faces-dcos': '*' }],
    ['production code on the test kit', 'floor', 'libs/runtime', '', { '@conclave/testkit': '*' }],
    [
      'a dependency on a room nobody built',
      'undeclared',
      'libs/raft',
      '',
      { '@conclave/attic': '*' },
    ],
    ['a package that nobody imports', 'unused', 'libs/runtime', '', { zod: '4.6.7' }],
    ['a room that nobody imports', 'unused', 'libs/raft', '', { '@conclave/kernel': '*' }],
    [
      'a package that only a text and a comment import',
      'unused',
      'libs/runtime',
      "// import 'zod'\nexport const text = \"import 'zod'\"",
      { zod: '4.6.7' },
    ],
    ['a clock in a core', 'purity', 'libs/raft', 'export const t = Date.now()'],
    ['today in a core', 'purity', 'libs/raft', 'export const t = new Date()'],
    ['dice in a core', 'purity', 'libs/raft', 'export const d = Math.random()'],
    ['a timer in an actor', 'purity', 'libs/actors', 'setTimeout(() => {}, 1)'],
    ['the environment in a core', 'purity', 'libs/raft', "export const e = process.env['HOME']"],
    ['a disk in a core', 'purity', 'libs/raft', "import { readFileSync } from 'node:fs'"],
    ['a socket in an actor', 'purity', 'libs/actors', "import { connect } from 'node:net'"],
    ['a log line in a core', 'purity', 'libs/raft', "console.log('x')"],
    ['a request in a core', 'purity', 'libs/raft', "await fetch('http://localhost')"],
    ['random bytes in a core', 'purity', 'libs/raft', "import { randomBytes } from 'node:crypto'"],
    ['all of node:crypto in a core', 'purity', 'libs/raft', "import * as c from 'node:crypto'"],
    ['the default of node:crypto in a core', 'purity', 'libs/raft', "import c from 'node:crypto'"],
    ['code behind a template', 'purity', 'libs/raft', 'export const t = `${Date.now()}`'],
  ]
  test.each(planted)('refuses %s', (_what, rule, directory, source, dependencies) => {
    const faults = accused(directory, source, dependencies)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(new RegExp(`^${rule} ${directory}`))
  })

  test('says the line of a fault', () => {
    expect(accused('libs/raft', '\n\nexport const t = Date.now()\n')).toEqual([
      'purity libs/raft/src/planted.ts:3 Date.now: time comes through the Clock port',
    ])
  })

  test('refuses what tests could have and do not use', () => {
    const manifest = { devDependencies: { '@conclave/testkit': '*' } }
    expect(plant({ 'libs/raft': { manifest } })).toEqual([
      'unused libs/raft/package.json no file imports @conclave/testkit',
    ])
  })

  test('lets tests have what production code may not', () => {
    const source = "import { test } from 'vitest'\nimport '@conclave/testkit'\nDate.now()\n"
    const rooms = {
      'libs/raft': {
        manifest: { devDependencies: { '@conclave/testkit': '*' } },
        files: { 'src/planted.test.ts': source },
      },
    }
    expect(plant(rooms)).toEqual([])
  })

  test('refuses rooms that lean on each other', () => {
    const faults = plant({
      'libs/runtime': leaning('@conclave/faces-mesos'),
      'libs/faces-mesos': leaning('@conclave/runtime'),
    })
    expect(faults).toEqual([
      expect.stringMatching(/^cycle .*@conclave\/(runtime|faces-mesos) → .* → @conclave/),
    ])
  })

  test.each<[string, object, RegExp]>([
    ['a room with another name', { name: '@conclave/boat' }, /is called @conclave\/raft/],
    ['a room that could be published', { private: false }, /"private": true/],
    ['an export of nothing', { exports: { '.': './src/nothing.ts' } }, /which is not there/],
    ['a range of versions', { devDependencies: { zod: '^4.6.7' } }, /one exact version/],
    [
      'a room of ours at a version',
      { devDependencies: { '@conclave/kernel': '1.0.0' } },
      /say "\*"/,
    ],
    [
      'a room whose tests nobody runs',
      { nx: { tags: ['layer:core', 'scope:shared', 'type:lib'], targets: { typecheck: {} } } },
      /need "test"/,
    ],
    [
      'a room on another floor',
      {
        nx: {
          tags: ['layer:edge', 'scope:shared', 'type:lib'],
          targets: { typecheck: {}, test: {} },
        },
      },
      /need "layer:core"/,
    ],
    [
      'a room without a dialect',
      { nx: { tags: ['layer:core', 'type:lib'], targets: { typecheck: {}, test: {} } } },
      /need a "scope:"/,
    ],
  ])('refuses %s', (_what, manifest, words) => {
    expect(plant({ 'libs/raft': { manifest } })).toEqual([expect.stringMatching(words)])
  })

  test('refuses a room that the table does not know, or that says nothing of itself', () => {
    expect(plant({ 'libs/attic': {} })).toEqual([expect.stringMatching(/no floor has this room/)])
    expect(plant({ 'libs/raft': { withoutReadme: true } })).toEqual([
      expect.stringMatching(/no README/),
    ])
  })

  test.each(['src/utils.ts', 'src/types.test.ts', 'src/RaftNode.ts', 'src/raft_node.ts'])(
    'refuses the file name %s',
    (file) => {
      expect(accused('libs/raft', 'export {}\n', {}, file)).toEqual([
        expect.stringMatching(/^name /),
      ])
    },
  )
})
