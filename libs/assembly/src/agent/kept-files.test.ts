import { expect, test } from 'vitest'
import { KeptFiles } from './kept-files.ts'

const file = (path: string, sizeBytes: number) => ({
  kind: 'file' as const,
  path,
  mode: 0o644,
  bytes: new Uint8Array(sizeBytes),
})
const pathsOf = (kept: KeptFiles, id: string): readonly string[] =>
  kept.of(id).map(({ path }) => path)

test('what was fetched into a container is kept, the newest containers and so many bytes', () => {
  const kept = new KeptFiles()
  kept.add('c-0', [{ kind: 'directory', path: 'd', mode: 0o755 }, file('d/a', 1)])
  kept.add('c-0', [file('b', 1), { kind: 'symlink', path: 'l', target: 'b' }])
  expect(pathsOf(kept, 'c-0')).toEqual(['d/a', 'b'])
  for (let index = 1; index <= 64; index++) kept.add(`c-${index}`, [file('x', 1)])
  expect([pathsOf(kept, 'c-0'), pathsOf(kept, 'c-1')]).toEqual([[], ['x']])

  kept.add('large', [file('x', 8 * 1_048_576 - 10)])
  expect([pathsOf(kept, 'c-54'), pathsOf(kept, 'c-55')]).toEqual([[], ['x']])
  kept.add('too-large', [file('x', 9 * 1_048_576)])
  expect([pathsOf(kept, 'c-64'), pathsOf(kept, 'large'), pathsOf(kept, 'too-large')]).toEqual([
    [],
    [],
    [],
  ])
})
