import { expect, test } from 'vitest'
import { parseImageReference } from './index.ts'

const hub = 'https://registry-1.docker.io'
const digest = `sha256:${'a'.repeat(64)}`

test.each([
  ['busybox', hub, 'library/busybox', 'latest'],
  ['team/app:1.2', hub, 'team/app', '1.2'],
  ['localhost/app', 'https://localhost', 'app', 'latest'],
  ['localhost:5000/app', 'http://localhost:5000', 'app', 'latest'],
  ['127.0.0.1:443/app', 'https://127.0.0.1:443', 'app', 'latest'],
  ['registry:80/a/b:c', 'http://registry:80', 'a/b', 'c'],
  ['registry.local:5000/a/b/c', 'https://registry.local:5000', 'a/b/c', 'latest'],
  [`registry.local/app@${digest}`, 'https://registry.local', 'app', digest],
  [`registry.local/app:1@${digest}`, 'https://registry.local', 'app', digest],
])('IP2: %s is an image of %s (mesos.md §17)', (name, origin, repository, reference) => {
  expect(parseImageReference(name, hub)).toMatchObject({ origin, repository, reference })
})

test.each([
  '',
  'UPPER',
  'a//b',
  '../b',
  'a/../b',
  'registry.local:5000/../../token',
  'registry.local/a?x=y',
  'user@registry.local/app',
  'a:b:c',
  'app@sha256:short',
  'reg ist.ry/app',
  `a/${'b'.repeat(600)}`,
])('IP2: %j is the name of no image', (name) => {
  expect(() => parseImageReference(name, hub)).toThrow('Failed to parse docker image')
})
