import { assert, oneof, property, string, stringMatching } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { familiarName, parseImageName } from './image-name.ts'

const digest = `sha256:${'0a'.repeat(32)}`

describe('IM1: a name', () => {
  test.each<[string, string, string, string, string | undefined, (string | undefined)?]>([
    ['redis', 'docker.io', 'library/redis', 'redis', 'latest', undefined],
    ['library/redis:7', 'docker.io', 'library/redis', 'redis', '7', undefined],
    ['docker.io/redis', 'docker.io', 'library/redis', 'redis', 'latest', undefined],
    ['index.docker.io/eon01/infinite', 'docker.io', 'eon01/infinite', 'eon01/infinite', 'latest'],
    [`nginx@${digest}`, 'docker.io', 'library/nginx', 'nginx', undefined, digest],
    [`a/b:1@${digest}`, 'docker.io', 'a/b', 'a/b', '1', digest],
    ['localhost/app', 'localhost', 'app', 'localhost/app', 'latest', undefined],
    ['10.0.0.1:5000/t/app:x', '10.0.0.1:5000', 't/app', '10.0.0.1:5000/t/app', 'x', undefined],
    ['Host/app', 'Host', 'app', 'Host/app', 'latest', undefined],
  ])('%s is read whole', (text, registry, repository, familiar, tag, pinned) => {
    expect(parseImageName(text)).toEqual({ registry, repository, familiar, tag, digest: pinned })
  })

  test.each([
    '',
    ' ',
    'Redis',
    'redis:',
    ':7',
    'redis@',
    'redis@sha256:00',
    `redis@${digest}x`,
    'a//b',
    '/redis',
    'redis/',
    '../etc/passwd',
    'a/../b',
    'http://redis',
    'host:99999999/app',
    '-host.local/app',
    'redis:7:8',
    'redis\n',
    're\0dis',
    'redis:"$(id)"',
    '0a'.repeat(32),
    'a'.repeat(256),
    `x/${'a'.repeat(600)}`,
  ])('%j is none', (text) => {
    expect(parseImageName(text)).toBeUndefined()
  })

  test('may be any text: it is read as what it says, or not at all', () => {
    const part = stringMatching(/^[a-zA-Z0-9._/:@\-\n \0]{0,40}$/)
    assert(
      property(oneof(part, string({ maxLength: 80 })), (text) => {
        const name = parseImageName(text)
        if (name === undefined) return
        expect(parseImageName(familiarName(name))).toEqual({
          ...name,
          // Beside a tag the digest is left out of what people are shown.
          digest: name.tag === undefined ? name.digest : undefined,
        })
        expect(familiarName(name)).toMatch(/^[A-Za-z0-9][\w./:@-]*$/)
      }),
      { numRuns: 2000 },
    )
  })
})
