import type { ImageRoot, ImageSource } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import { simulatedImage } from '@conclave/simulated-images'
import { describe, expect, test } from 'vitest'
import type { ImagesChoice } from './images.ts'
import { SimulatedSource, simulates } from './simulated-source.ts'

const hub = 'https://registry-1.docker.io'
const dockerConfig = new Redacted(utf8('{}'))
const choice = (more: Partial<ImagesChoice>): ImagesChoice => ({
  provider: 'none',
  registry: hub,
  dockerConfig: new Redacted(new Uint8Array()),
  simulated: 'any',
  ...more,
})

const pulled: ImageRoot = {
  config: { entrypoint: [], command: [], environment: new Map(), workingDirectory: undefined },
  entries: [],
  sizeBytes: 0,
}
const registry: ImageSource = { provision: async () => pulled }

/** Who gives an image: the registry, we, or nobody (and in which words). */
async function giver(of: ImagesChoice, name: string, hasConfig = false): Promise<string> {
  const source = new SimulatedSource(of, of.provider === 'docker' ? registry : undefined)
  const wanted = { name, isCached: true, dockerConfig: hasConfig ? dockerConfig : undefined }
  try {
    const root = await source.provision(wanted, new AbortController().signal)
    return root === pulled ? 'the registry' : 'we'
  } catch (error) {
    return (error as Error).message
  }
}

describe('an agent that pulls nothing', () => {
  test.each([
    ['redis', 'known', 'we'],
    ['nosuchimage:1', 'known', 'No such image: nosuchimage:1'],
    ['nosuchimage:1', 'any', 'we'],
    ['No Image', 'any', 'No such image: No Image'],
  ] as const)('%s under %s: %s', async (name, simulated, who) => {
    expect(await giver(choice({ simulated }), name)).toBe(who)
    expect(simulates(choice({ simulated }))?.(name, true)).toBe(true)
  })

  test('has no images at all when the switch is off', () => {
    expect(simulates(choice({ simulated: 'off' }))).toBeUndefined()
    expect(simulates(undefined)).toBeUndefined()
  })
})

describe('an agent that pulls', () => {
  const pulls = choice({ provider: 'docker' })
  const ours = simulatedImage('some/app:1', 'any')?.digest ?? ''

  test.each([
    ['redis:7', false, 'we'],
    ['redis:7', true, 'the registry'],
    ['some/app:1', false, 'the registry'],
    [`some/app:1@${ours}`, false, 'we'],
    ['localhost:5000/redis', false, 'the registry'],
    [`redis:7@sha256:${'ab'.repeat(32)}`, false, 'the registry'],
  ])('%s, with credentials %s: %s', async (name, hasConfig, who) => {
    expect(await giver(pulls, name, hasConfig)).toBe(who)
  })

  test('asks a registry of its own for every name', async () => {
    const own = choice({ provider: 'docker', registry: 'http://127.0.0.1:5000' })
    expect(await giver(own, 'redis')).toBe('the registry')
  })

  test('gives nothing that is pinned and not known, if it knows a few alone', async () => {
    const few = choice({ provider: 'docker', simulated: 'known' })
    expect(await giver(few, `some/app:1@${ours}`)).toBe('the registry')
  })
})
