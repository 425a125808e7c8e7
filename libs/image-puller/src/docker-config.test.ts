import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { canary, expectNoLeak } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { credentialFor, mergeCredentials, parseDockerConfig } from './index.ts'

const auth = (text: string): string => Buffer.from(text).toString('base64')
const read = (config: unknown): ReturnType<typeof parseDockerConfig> =>
  parseDockerConfig(new Redacted(utf8(JSON.stringify(config))))
const shown = (host: string, config: unknown): string | undefined => {
  const found = credentialFor(host, read(config))
  return found === undefined ? undefined : utf8Text(found.reveal())
}

test.each([
  [
    'config.json',
    { auths: { 'registry:5000': { auth: auth('a:b'), email: 'x' } }, credsStore: 'y' },
  ],
  ['.dockercfg', { 'registry:5000': { auth: auth('a:b') } }],
  ['a key with scheme and path', { auths: { 'https://registry:5000/v1/': { auth: auth('a:b') } } }],
])('IP1: %s is read (mesos.md §17)', (_, config) => {
  expect(shown('registry:5000', config)).toBe(auth('a:b'))
  expect(shown('registry:5001', config)).toBeUndefined()
})

test('IP1: docker.io is one registry by all of its names', () => {
  const config = { auths: { 'https://index.docker.io/v1/': { auth: auth('a:b') } } }
  expect(shown('registry-1.docker.io', config)).toBe(auth('a:b'))
})

test('IP1: an entry without auth is none, whatever else it has', () => {
  expect(read({ auths: { r: { username: 'u', password: 'p', identitytoken: 't' } } })).toEqual([])
})

test("IP1: a task's own entry replaces the agent's of the same key, and the others stay", () => {
  const own = read({ auths: { a: { auth: auth('own:a') } } })
  const ofAgent = read({ auths: { a: { auth: auth('agent:a') }, b: { auth: auth('agent:b') } } })
  const merged = mergeCredentials(own, ofAgent)
  expect(utf8Text(credentialFor('a', merged)?.reveal() ?? utf8(''))).toBe(auth('own:a'))
  expect(utf8Text(credentialFor('b', merged)?.reveal() ?? utf8(''))).toBe(auth('agent:b'))
})

test.each([
  ['{"auths"', 'JSON parse failed: it is not JSON'],
  ['["x"]', 'Invalid JSON object'],
  ['{"auths":{"r":"VALUE"}}', 'Protobuf parse failed: an entry is no object'],
  ['{"auths":{"r":{"auth":"VALUE!"}}}', "Protobuf parse failed: an 'auth' is no base64"],
])('IP1: %s is refused in the words of Mesos, without what it holds', (text, why) => {
  const planted = canary('config')
  const bytes = new Redacted(utf8(text.replace('VALUE', planted.text)))
  let error: unknown
  try {
    parseDockerConfig(bytes)
  } catch (thrown) {
    error = thrown
  }
  expect((error as Error).message).toBe(`Failed to parse docker config: ${why}`)
  expectNoLeak({ error }, [planted])
})
