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
