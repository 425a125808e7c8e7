import { createHash } from 'node:crypto'
import { utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { isPinnedToSimulated, knownRepositories, noSuchImage, simulatedImage } from './catalog.ts'
import type { SimulatedImagesMode } from './modes.ts'
import { simulatedLabel } from './simulated-image.ts'

const all = [...knownRepositories, 'somebody/something', 'localhost:5000/app']

describe('IM2: a name stands for a simulated image', () => {
  test.each<[string, SimulatedImagesMode, boolean]>([
    ['redis', 'known', true],
    ['redis:7-alpine', 'known', true],
    ['docker.io/library/redis', 'known', true],
    ['nosuchimage:1', 'known', false],
    ['localhost:5000/redis', 'known', false],
    ['other/redis', 'known', false],
    ['nosuchimage:1', 'any', true],
    ['localhost:5000/redis', 'any', true],
    ['No Image', 'any', false],
    ['redis', 'off', false],
  ])('%s under %s: %s', (name, mode, isThere) => {
    expect(simulatedImage(name, mode) !== undefined).toBe(isThere)
  })

  test('by its digest, if it is one of ours', () => {
    const { digest = '' } = simulatedImage('redis:7', 'known') ?? {}
    const foreign = `redis:7@sha256:${'ab'.repeat(32)}`
    expect(simulatedImage(`redis:7@${digest}`, 'known')?.digest).toBe(digest)
    expect(simulatedImage(foreign, 'known')).toBeUndefined()
    expect(simulatedImage(foreign, 'any')?.repository).toBe('redis')
    expect(isPinnedToSimulated(`redis:7@${digest}`, 'known')).toBe(true)
    expect(isPinnedToSimulated(`redis:8@${digest}`, 'known')).toBe(false)
    expect(isPinnedToSimulated(foreign, 'any')).toBe(false)
    expect(isPinnedToSimulated('redis:7', 'any')).toBe(false)
  })

  test('or the Engine says that there is none, under its whole name', () => {
    expect(noSuchImage('nosuchimage:1')).toBe('No such image: nosuchimage:1')
    expect(noSuchImage('nosuchimage')).toBe('No such image: nosuchimage:latest')
    expect(noSuchImage('no\u001b[31m')).toBe('No such image: no?[31m')
  })
})

describe('IM3: a simulated image', () => {
  test.each(all)('%s says that it is one, in its labels and in its root', (name) => {
    const image = simulatedImage(name, 'any')
    expect(image?.configuration.Labels).toMatchObject({ [simulatedLabel]: 'true' })
    const notice = image?.root.entries.find(({ path }) => path === '/etc/conclave-simulated')
    expect(notice?.kind === 'file' && utf8Text(notice.bytes)).toContain(`This is not ${name}.`)
  })

  test.each(all)('%s has the digests of what is in it, the same each time', (name) => {
    const image = simulatedImage(`${name}:1`, 'any')
    const manifest = image?.manifest ?? new Uint8Array()
    const hash = createHash('sha256').update(manifest).digest('hex')
    expect(image?.digest).toBe(`sha256:${hash}`)
    expect(JSON.parse(utf8Text(manifest))).toMatchObject({
      config: { digest: image?.id },
      layers: [{ digest: image?.layerDigest }],
    })
    expect(simulatedImage(`${name}:2`, 'any')?.digest).not.toBe(image?.digest)
    expect(simulatedImage(`${name}:1`, 'any')?.digest).toBe(image?.digest)
  })

  test.each(all)('%s has a tree: each name once, behind the directory that it is in', (name) => {
    const seen = new Set(['/'])
    for (const { path, kind } of simulatedImage(name, 'any')?.root.entries ?? []) {
      expect(path).toMatch(/^\/[^/]/)
      expect(seen.has(path)).toBe(false)
      const above = path.slice(0, Math.max(1, path.lastIndexOf('/')))
      expect({ path, isAboveThere: seen.has(above) }).toEqual({ path, isAboveThere: true })
      if (kind === 'directory') seen.add(path)
    }
  })
})
