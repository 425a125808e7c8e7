import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { layerOf } from './floors.ts'
import { codeOnly } from './lexer.ts'
import { readRooms } from './rooms.ts'

const root = join(import.meta.dirname, '../../..')
const rooms = readRooms(root)
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
    // Notes on other systems: what looks like a link there may be an expression of theirs.
    .filter((name) => !/^docs\/reference\/(?!README)/.test(name)),
  ...readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `examples/${name.replaceAll('\\', '/')}`),
  ...rooms
    .filter(({ others }) => others.includes('README.md'))
    .map(({ directory }) => `${directory}/README.md`),
]

/** Every error code that some class of ours has, by where it stands. */
const codes = new Map(
  rooms.flatMap(({ directory, files }) =>
    [...files]
      .filter(([file]) => !/\.(?:test|contract)\.ts$/.test(file) && !file.includes('/testing/'))
      .flatMap(([file, source]) =>
        [...source.matchAll(/\breadonly code = '([^']+)'/g)].map(
          ([, code = '']) => [code, `${directory}/${file}`] as const,
        ),
      ),
  ),
)

describe('the documents', () => {
  test.each(documents)('of %s point only at what is there', (file) => {
    const links = [...read(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, to = '']) => to)
    const missing = links
      .filter((to) => !/^[a-z]+:/.test(to))
      .filter((to) => !existsSync(join(root, dirname(file), to)))
    expect(missing).toEqual([])
  })

  test('list every error code, and no other', () => {
    const listed = [...read('docs/errors.md').matchAll(/^\| `([^`]+)`/gm)].map(
      ([, code = '']) => code,
    )
    expect(listed.toSorted()).toEqual([...codes.keys()].toSorted())
  })

  test('draw every room on its floor', () => {
    const drawing =
      /## The floors\n\n```\n([\s\S]*?)```/.exec(read('docs/architecture.md'))?.[1] ?? ''
    const drawn = drawing.split('\n').flatMap((line) => {
      const [layer = '', ...names] = line.trim().split(/\s+/)
      return names.map((name) => `${layer} ${name}`)
    })
    const missing = rooms
      .map(({ directory }) => `${layerOf(directory) ?? ''} ${basename(directory)}`)
      .filter((room) => !drawn.includes(room))
    expect(missing).toEqual([])
  })

  test('list every decision once, by its number', () => {
    const records = readdirSync(join(root, 'docs/adr')).filter((name) => /^\d/.test(name))
    const listed = [...read('docs/adr/README.md').matchAll(/^\| \[(\d+)\]\(([^)]+)\)/gm)]
    expect(listed.map(([, , file = '']) => file)).toEqual(records.toSorted())
    expect(listed.map(([, number]) => Number(number))).toEqual(
      records.toSorted().map((name) => Number(name.slice(0, 4))),
    )
  })

  test('name only scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = ['README.md', 'CONTRIBUTING.md', 'docs/architecture.md']
      .filter((file) => existsSync(join(root, file)))
      .flatMap((file) => [...read(file).matchAll(/\bnpm run (?:-\w+ )*([a-z][\w:-]*)/g)])
      .map(([, name = '']) => name)
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([])
  })
})

describe('the code', () => {
  test('has no note to do something later, and no test that is left out', () => {
    const found = rooms.flatMap(({ directory, files }) =>
      [...files].flatMap(([file, source]) => {
        const isHouse = directory === 'tools/house'
        const later = isHouse ? null : /\b(?:TODO|FIXME|XXX)\b/.exec(source)
        const left = /\b(?:test|describe|it)\.(?:only|todo)\(/.exec(codeOnly(source))
        return (later ?? left) ? [`${directory}/${file}: ${(later ?? left)?.[0] ?? ''}`] : []
      }),
    )
    expect(found).toEqual([])
  })

  test('shows every error code once', () => {
    const seen = new Map<string, string[]>()
    for (const { directory, files } of rooms) {
      for (const [file, source] of files) {
        if (file.endsWith('.test.ts')) continue
        for (const [, code = ''] of source.matchAll(/\breadonly code = '([^']+)'/g)) {
          seen.set(code, [...(seen.get(code) ?? []), relative(root, join(root, directory, file))])
        }
      }
    }
    expect([...seen].filter(([, places]) => places.length > 1)).toEqual([])
  })
})

/** `AG2, AG3 threat:DL-11: what it does`: every number that a name begins with. */
const numbersIn = (name: string): readonly string[] =>
  [...(/^(?:[A-Z]{1,3}\d+[\s,]*)+/.exec(name)?.[0] ?? '').matchAll(/[A-Z]{1,3}\d+/g)].map(
    ([number]) => number,
  )

describe('the promises', () => {
  /** Where each stands: in the README of a room or of a part of one, as `**AG2**` or as the first cell of a row. */
  const promises = new Map<string, string[]>()
  const readmes = rooms.flatMap(({ directory }) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
      .filter((name) => basename(name) === 'README.md' && !name.includes('node_modules'))
      .map((name) => `${directory}/${name.replaceAll('\\', '/')}`),
  )
  for (const file of [...readmes, 'docs/architecture.md']) {
    for (const [, bold, cell] of read(file).matchAll(
      /\*\*([A-Z]{1,3}\d+)\*\*|^\| ([A-Z]{2,3}\d+) \|/gm,
    )) {
      const number = bold ?? cell ?? ''
      promises.set(number, [...(promises.get(number) ?? []), file])
    }
  }
  /** Numbers at the beginning of any text in a test, a suite or what they stand on. */
  const tested = new Set(
    rooms.flatMap(({ files }) =>
      [...files]
        .filter(
          ([file]) => /\.(?:test|contract|acceptance)\.ts$/.test(file) || file.includes('testing/'),
        )
        .flatMap(([, source]) =>
          [...source.matchAll(/(['"`])([A-Z]{1,3}\d+\b[^\n]{0,40})/g)].flatMap(([, , text = '']) =>
            numbersIn(text),
          ),
        ),
    ),
  )

  test('have a number each, and no two the same', () => {
    expect(promises.size).toBeGreaterThan(300)
    expect([...promises].filter(([, files]) => files.length > 1)).toEqual([])
  })

  test('are tested, each by a test that begins with its number', () => {
    expect([...promises.keys()].filter((number) => !tested.has(number))).toEqual([])
  })

  test('are written down, where a test begins with a number', () => {
    const names = rooms.flatMap(({ files }) =>
      [...files].flatMap(([, source]) =>
        [
          ...source.matchAll(/\b(?:test|describe)(?:\.\w+)*\(\s*(['"`])([A-Z]{1,3}\d+[^\n]*?)\1/g),
        ].map(([, , name = '']) => name),
      ),
    )
    expect(names.filter((name) => numbersIn(name).some((number) => !promises.has(number)))).toEqual(
      [],
    )
  })
})
