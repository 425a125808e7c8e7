import { inspect } from 'node:util'
import type { ImageRoot, ImageWanted } from '@conclave/isolators'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { createLogger } from '@conclave/runtime'
import {
  buildImage,
  buildIndex,
  ImageLibrary,
  ownArchitecture,
  RegistryServer,
  RegistryUsers,
  sampleImage,
  type BuiltImage,
  type ImageFile,
  type RegistryOptions,
  type RegistryRequest,
} from '@conclave/registry'
import { canary, expectNoLeak, LogLines } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { ImagePuller, ImagePullFailed, type ImagePullerOptions } from './index.ts'

const secrets = { a: canary('tenant a'), b: canary('tenant b') }
const never = new AbortController().signal

/** A registry of two tenants, and what was asked of it. */
class Stage {
  readonly library = new ImageLibrary()
  readonly requests: RegistryRequest[] = []
  readonly lines = new LogLines()
  readonly registry: RegistryServer
  readonly puller: ImagePuller

  private constructor(
    registry: RegistryServer,
    library: ImageLibrary,
    requests: RegistryRequest[],
    more: ImagePullerOptions,
  ) {
    this.registry = registry
    this.library = library
    this.requests = requests
    this.puller = new ImagePuller({
      log: createLogger({ to: this.lines, level: 'trace' }),
      ...more,
    })
  }

  static async start(
    options: Partial<RegistryOptions> = {},
    more: ImagePullerOptions = {},
  ): Promise<Stage> {
    const library = new ImageLibrary()
    library.add('tenant-a/app', '1', await sampleImage('tenant-a'))
    library.add('tenant-b/app', '1', await sampleImage('tenant-b', 'docker'))
    const requests: RegistryRequest[] = []
    const registry = await RegistryServer.start({
      library,
      users: new RegistryUsers([
        { name: 'a', password: new Redacted(secrets.a.bytes), repositories: ['tenant-a/*', 'x/*'] },
        { name: 'b', password: new Redacted(secrets.b.bytes), repositories: ['tenant-b/*'] },
      ]),
      onRequest: (request) => requests.push(request),
      ...options,
    })
    const stage = new Stage(registry, library, requests, more)
    stages.push(stage)
    return stage
  }

  config(user: 'a' | 'b' | 'nobody', host = this.registry.host): Redacted<Uint8Array> {
    const password = user === 'nobody' ? 'wrong' : secrets[user].text
    const auth = Buffer.from(`${user}:${password}`).toString('base64')
    return new Redacted(utf8(JSON.stringify({ auths: { [host]: { auth } } })))
  }

  pull(
    repository: string,
    user: 'a' | 'b' | 'nobody' | undefined,
    more: Partial<ImageWanted> = {},
  ): Promise<ImageRoot> {
    return this.puller.provision(
      {
        name: `${this.registry.host}/${repository}`,
        isCached: true,
        dockerConfig: user === undefined ? undefined : this.config(user),
        ...more,
      },
      never,
    )
  }

  /** Adds an image of user a. */
  add(name: string, image: BuiltImage): void {
    this.library.add(`x/${name}`, '1', image)
  }

  fetched(kind: 'manifests' | 'blobs'): number {
    return this.requests.filter(
      ({ method, path, status }) =>
        method === 'GET' && status === 200 && path.includes(`/${kind}/`),
    ).length
  }
}

const stages: Stage[] = []
afterEach(async () => {
  for (const { registry, puller } of stages.splice(0)) {
    puller.close()
    await registry.close()
  }
})

const textAt = ({ entries }: ImageRoot, path: string): string | undefined => {
  const entry = entries.find((one) => one.path === path)
  return entry?.kind === 'file' ? utf8Text(entry.bytes) : undefined
}

const imageOf = (text: string): Promise<BuiltImage> =>
  buildImage({ layers: [[{ name: 'which', content: text }]], command: ['true'] })

describe('an image', () => {
  test.each([
    ['OCI', 'a', 'tenant-a'],
    ['docker', 'b', 'tenant-b'],
  ] as const)('IP3: of %s is pulled with a token, layer over layer', async (_, user, tenant) => {
    const stage = await Stage.start()

    const image = await stage.pull(`${tenant}/app:1`, user)

    expect(textAt(image, '/app/motd')).toBe(`only ${tenant} may read this\n`)
    expect(image.config).toEqual({
      entrypoint: ['/app/hello.sh'],
      command: [],
      environment: new Map([['TENANT', tenant]]),
      workingDirectory: '/app',
      stopSignal: undefined,
    })
    expect(stage.requests.some(({ path }) => path === '/token')).toBe(true)
  })

  test('IP3: is pulled with a password where the registry wants one each time', async () => {
    const stage = await Stage.start({ scheme: 'basic' })
    const image = await stage.pull('tenant-a/app:1', 'a')
    expect(textAt(image, '/etc/tenant')).toBe('tenant-a\n')
    expect(stage.requests.some(({ path }) => path === '/token')).toBe(false)
  })

  test('IP3: of a list is the one for this machine', async () => {
    const stage = await Stage.start()
    stage.add(
      'many',
      buildIndex([
        { image: await imageOf('another'), architecture: 's390x' },
        { image: await imageOf('this'), architecture: ownArchitecture },
      ]),
    )
    expect(textAt(await stage.pull('x/many:1', 'a'), '/which')).toBe('this')
  })

  test('IP3: may be named by its digest, and has to have it', async () => {
    const stage = await Stage.start()
    const { digest } = await sampleImage('tenant-a')
    const image = await stage.pull(`tenant-a/app@${digest}`, 'a')
    expect(textAt(image, '/etc/tenant')).toBe('tenant-a\n')
    await expect(stage.pull(`tenant-a/app@sha256:${'0'.repeat(64)}`, 'a')).rejects.toThrow(
      "Unexpected HTTP response '404 Not Found' when trying to get the manifest",
    )
  })
})

describe('credentials', () => {
  test.each([
    ['none', undefined, "401 Unauthorized' when trying to GET 'http://"],
    ['wrong ones', 'nobody', "401 Unauthorized' when trying to GET 'http://"],
    ["another tenant's", 'b', "'401 Unauthorized' when trying to get the manifest"],
  ] as const)('IP4: with %s there is no image', async (_, user, why) => {
    const stage = await Stage.start()
    await expect(stage.pull('tenant-a/app:1', user)).rejects.toThrow(why)
  })

  test('IP4: with a wrong password, where one is wanted each time, Mesos has words of its own', async () => {
    const stage = await Stage.start({ scheme: 'basic' })
    await expect(stage.pull('tenant-a/app:1', 'nobody')).rejects.toThrow(
      'Got unexpected BASIC Authorization response status: 401 Unauthorized from',
    )
  })

  test("IP4: the agent's own serve whoever brings none", async () => {
    const probe = await Stage.start()
    const puller = new ImagePuller({ dockerConfig: probe.config('a') })
    const name = `${probe.registry.host}/tenant-a/app:1`
    const image = await puller.provision({ name, isCached: true, dockerConfig: undefined }, never)
    expect(textAt(image, '/etc/tenant')).toBe('tenant-a\n')
    puller.close()
  })

  test('IP5: go to no other place: not to where blobs are redirected to', async () => {
    const other: RegistryRequest[] = []
    const mirror = await Stage.start({ onRequest: (request) => other.push(request) })
    const stage = await Stage.start({
      blobsAt: `http://${mirror.registry.host}/v2/tenant-a/app/blobs`,
    })

    // The mirror wants a password, and gets none: so the pull fails, and that is how it is seen.
    await expect(stage.pull('tenant-a/app:1', 'a')).rejects.toThrow(
      "Unexpected HTTP response '401 Unauthorized' when trying to download the blob",
    )

    expect(other.length).toBeGreaterThan(0)
    expect(other.filter(({ hasCredential }) => hasCredential)).toEqual([])
  })

  test('IP6 S2: are in no log line, no error and no image', async () => {
    const stage = await Stage.start()
    const image = await stage.pull('tenant-a/app:1', 'a')
    const error: unknown = await stage
      .pull('tenant-a/app:1', 'b')
      .catch((failure: unknown) => failure)
    expect(stage.lines.text.length).toBeGreaterThan(0)
    expectNoLeak(
      { image: inspect(image, { depth: 9 }), error, lines: stage.lines.text, puller: stage.puller },
      [secrets.a, secrets.b],
    )
  })
})

describe('what was pulled before', () => {
  test('IP7: is not pulled again, and the registry is asked all the same', async () => {
    const stage = await Stage.start()
    await stage.pull('tenant-a/app:1', 'a')
    const before = stage.fetched('blobs')
    const asked = stage.requests.length

    const again = await stage.pull('tenant-a/app:1', 'a')

    expect(textAt(again, '/etc/tenant')).toBe('tenant-a\n')
    expect(stage.fetched('blobs')).toBe(before)
    expect(stage.requests.length).toBeGreaterThan(asked)
    expect(stage.lines.text).toContain('Using cached image')
  })

  test('IP8: is given to nobody whose own credentials do not open it', async () => {
    const stage = await Stage.start()
    await stage.pull('tenant-a/app:1', 'a')

    for (const user of ['b', 'nobody', undefined] as const) {
      await expect(stage.pull('tenant-a/app:1', user)).rejects.toThrow('401 Unauthorized')
    }
    await stage.registry.close()
    await expect(stage.pull('tenant-a/app:1', 'a')).rejects.toThrow('the registry cannot be asked')
  })

  test('IP13: is given to whoever knows its name, with nothing to show, where a lesson wants that', async () => {
    const stage = await Stage.start({}, { sharesKept: true })
    await expect(stage.pull('tenant-a/app:1', 'b')).rejects.toThrow(ImagePullFailed)
    await stage.pull('tenant-a/app:1', 'a')
    const asked = stage.requests.length

    const others = await stage.pull('tenant-a/app:1', 'b')
    const nobodys = await stage.pull('tenant-a/app:1', undefined)

    for (const image of [others, nobodys]) {
      expect(textAt(image, '/app/motd')).toBe('only tenant-a may read this\n')
    }
    expect(stage.requests).toHaveLength(asked)
    expect(stage.lines.text).toContain('Using cached image')
    await expect(stage.pull('tenant-a/app:1', 'b', { isCached: false })).rejects.toThrow(
      ImagePullFailed,
    )
  })

  test("IP8: is not given away by another registry that claims another's digest", async () => {
    const stage = await Stage.start()
    const evil = await Stage.start()
    const { digest } = await sampleImage('tenant-a')
    await stage.pull('tenant-a/app:1', 'a')
    // The same bytes under the name of another tenant's registry, but for the blobs.
    const { manifest, mediaType } = await sampleImage('tenant-a')
    evil.library.add('tenant-b/app', '1', { manifest, mediaType, digest, blobs: new Map() })
    const name = `${evil.registry.host}/tenant-b/app:1`

    await expect(
      stage.puller.provision({ name, isCached: true, dockerConfig: evil.config('b') }, never),
    ).rejects.toThrow("'404 Not Found' when trying to download the blob")
  })

  test('IP7: is pulled anew when its task wants that', async () => {
    const stage = await Stage.start()
    await stage.pull('tenant-a/app:1', 'a')
    const before = stage.fetched('blobs')
    await stage.pull('tenant-a/app:1', 'a', { isCached: false })
    expect(stage.fetched('blobs')).toBe(before * 2)
  })

  test('IP7: a tag that moved leads to what it stands for now', async () => {
    const stage = await Stage.start()
    await stage.pull('tenant-a/app:1', 'a')
    stage.library.add('tenant-a/app', '1', await sampleImage('tenant-c'))
    expect(textAt(await stage.pull('tenant-a/app:1', 'a'), '/etc/tenant')).toBe('tenant-c\n')
  })
})

/** What is said of an image of such layers. */
async function refusalOf(layers: readonly (readonly ImageFile[])[]): Promise<string> {
  const stage = await Stage.start()
  stage.add('bad', await buildImage({ layers }))
  const error: unknown = await stage.pull('x/bad:1', 'a').catch((failure: unknown) => failure)
  return error instanceof Error ? error.message : 'it was pulled'
}

describe('a hostile image', () => {
  test('IP9: has no path out of its root', async () => {
    const up = [[{ name: '../../etc/passwd', content: 'x' }]]
    expect(await refusalOf(up)).toContain('a path has a ".." component')
    const hidden = [[{ name: 'a/../../b', content: 'x' }]]
    expect(await refusalOf(hidden)).toContain('a path has a ".." component')
  })

  test('IP9: has no link out of its root: one that leads up leads to the root', async () => {
    const stage = await Stage.start()
    const layers = [
      [{ name: 'out', type: 'symlink', linkname: '../../../../etc' } as const],
      [{ name: 'out/evil', content: 'inside' }],
    ]
    stage.add('link', await buildImage({ layers }))
    expect(textAt(await stage.pull('x/link:1', 'a'), '/etc/evil')).toBe('inside')
  })

  test('IP9: has no hard link to what is not in it, no circle, no device', async () => {
    expect(await refusalOf([[{ name: 'hard', type: 'link', linkname: '/etc/shadow' }]])).toContain(
      'a hard link leads to no file of the image',
    )
    const circle = [
      { name: 'a', type: 'symlink', linkname: 'b' } as const,
      { name: 'b', type: 'symlink', linkname: 'a' } as const,
      { name: 'a/x', content: '' },
    ]
    expect(await refusalOf([circle])).toContain('its symbolic links lead in a circle')
    const device = { name: 'dev/sda', type: 'block-device', devmajor: 8, devminor: 0 } as const
    expect(await refusalOf([[device]])).toContain('the image holds a block-device')
  })

  test('IP9: has no path through more directories than anybody builds, by a link neither', async () => {
    const deep = { name: `${'d/'.repeat(300)}x`, content: '' }
    expect(await refusalOf([[deep]])).toContain('a path has more than 256 directories')
    const link = { name: 'a', type: 'symlink', linkname: 'd/'.repeat(45) } as const
    const through = { name: `${'a/'.repeat(20)}x`, content: '' }
    const links = Array.from({ length: 20 }, (_, index) => ({
      ...link,
      name: `${'d/'.repeat(45 * index)}a`,
    }))
    expect(await refusalOf([[...links, through]])).toContain('more than 256 directories')
    const long = [
      { name: 'a', type: 'symlink', linkname: 'd/'.repeat(3000) } as const,
      { name: 'a/x', content: '' },
    ]
    expect(await refusalOf([long])).toContain('a symbolic link leads nowhere')
  })

  test('IP10: counts the directories that only a path names', async () => {
    const stage = await Stage.start({}, { limits: { entriesMax: 100 } })
    const files = ['a', 'b'].map((name) => ({ name: `${name}/${'d/'.repeat(60)}x`, content: '' }))
    stage.add('deep', await buildImage({ layers: [files] }))
    await expect(stage.pull('x/deep:1', 'a')).rejects.toThrow('more than 100 files')
  })

  test('IP10: that unpacks to more than it may is given up on the way', async () => {
    const bomb = await buildImage({
      layers: [[{ name: 'zeros', content: new Uint8Array(4_000_000) }]],
    })
    const stage = await Stage.start({}, { limits: { unpackedSizeBytesMax: 1_000_000 } })
    stage.add('bomb', bomb)
    await expect(stage.pull('x/bomb:1', 'a')).rejects.toThrow('more than 1000000 bytes, unpacked')

    const files = Array.from({ length: 200 }, (_, index) => ({ name: `f${index}`, content: '' }))
    const many = await Stage.start({}, { limits: { entriesMax: 100 } })
    many.add('many', await buildImage({ layers: [files] }))
    await expect(many.pull('x/many:1', 'a')).rejects.toThrow('more than 100 files')
  })

  test('IP11: whose bytes are not those of its digests is refused', async () => {
    const stage = await Stage.start()
    const good = await sampleImage('tenant-a')
    const other = await sampleImage('tenant-b')
    const [config, ...layers] = [...good.blobs.keys()]
    const swapped = new Map(good.blobs)
    swapped.set(layers[0] ?? '', [...other.blobs.values()].at(-1) ?? utf8(''))
    stage.add('swapped', { ...good, blobs: swapped })
    await expect(stage.pull('x/swapped:1', 'a')).rejects.toThrow(/sha256:[0-9a-f]{64}/)
    const broken = new Map(good.blobs).set(config ?? '', utf8('{}'))
    stage.add('broken', { ...good, blobs: broken })
    await expect(stage.pull('x/broken:1', 'a', { isCached: false })).rejects.toThrow(
      'is not what its digest says',
    )
  })

  test('IP11: white-outs take away what lies below', async () => {
    const stage = await Stage.start()
    const layers = [
      [
        { name: 'a/one', content: '1' },
        { name: 'a/two', content: '2' },
        { name: 'b/x', content: '3' },
      ],
      [
        { name: 'a/.wh.one', content: '' },
        { name: 'b/.wh..wh..opq', content: '' },
        { name: 'b/y', content: '4' },
      ],
    ]
    stage.add('white', await buildImage({ layers }))
    const { entries } = await stage.pull('x/white:1', 'a')
    expect(entries.map(({ path }) => path)).toEqual(['/a', '/a/two', '/b', '/b/y'])
  })
})

test('IP12: a pull that nobody waits for any more is given up', async () => {
  const stage = await Stage.start()
  const name = `${stage.registry.host}/tenant-a/app:1`
  const wanted = { name, isCached: true, dockerConfig: stage.config('a') }
  await expect(stage.puller.provision(wanted, AbortSignal.abort())).rejects.toThrow('given up')
})
