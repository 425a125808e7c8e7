import { assert, asyncProperty, oneof, string, stringMatching } from 'fast-check'
import { simulatedImage } from '@conclave/simulated-images'
import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front

beforeEach(() => {
  front = new Front()
})

interface Listed {
  readonly Id: string
  readonly RepoTags: readonly string[]
  readonly RepoDigests: readonly string[]
  readonly Labels: Readonly<Record<string, string>>
}

const filtersOf = (filters: object): string =>
  `filters=${encodeURIComponent(JSON.stringify(filters))}`

const listed = async (filters: object = {}): Promise<readonly string[]> =>
  (await front.ask('GET', `/images/json?${filtersOf(filters)}`))
    .json<Listed[]>()
    .flatMap(({ RepoTags }) => RepoTags)

const refusal = async (
  method: 'GET' | 'POST' | 'DELETE',
  url: string,
): Promise<readonly [number, string]> => {
  const answer = await front.ask(method, url)
  expect(answer.headers['content-type']).toBe('application/json')
  return [answer.statusCode, answer.json<{ message: string }>().message]
}

const known = [
  'alpine:latest',
  'busybox:latest',
  'eon01/infinite:latest',
  'nginx:latest',
  'postgres:latest',
  'redis:latest',
]

describe('DK25: images', () => {
  test('are those that are simulated, and say so', async () => {
    expect(await listed()).toEqual(known)
    const all = (await front.ask('GET', '/images/json')).json<Listed[]>()
    for (const { Id, Labels, RepoDigests } of all) {
      expect(Id).toMatch(/^sha256:[0-9a-f]{64}$/)
      expect(Labels['io.conclave.simulated']).toBe('true')
      expect(RepoDigests).toEqual([expect.stringMatching(/^[\w/]+@sha256:[0-9a-f]{64}$/)])
    }
  })

  test.each([
    [{ reference: ['red*'] }, ['redis:latest']],
    [{ reference: { 'eon01/*': true } }, ['eon01/infinite:latest']],
    [{ label: ['io.conclave.simulated=true'], reference: ['nginx'] }, ['nginx:latest']],
    [{ label: ['other'] }, []],
    [{ dangling: ['true'] }, []],
  ])('are listed as %j asks', async (filters, expected) => {
    expect(await listed(filters)).toEqual(expected)
  })

  test('are there once a service runs them, and while it does', async () => {
    await front.withSwarm()
    front.master.scene.addNode('agent-1')
    const services = new Services(front)
    const id = await services.create(sentSpec('app', {}, { Image: 'some/app:3' }))
    expect(await listed()).toContain('some/app:3')
    expect(await refusal('DELETE', '/images/some/app:3')).toEqual([
      409,
      'conflict: unable to remove repository reference "some/app:3" - a service uses it',
    ])

    await front.ask('DELETE', `/services/${id}`)
    expect(await listed()).not.toContain('some/app:3')
  })
})

describe('DK25: one image', () => {
  test.each(['redis', 'redis:latest', 'library/redis', 'docker.io/library/redis:latest'])(
    'is found by its name, %s',
    async (name) => {
      const answer = await front.ask('GET', `/v1.41/images/${name}/json`)
      expect(answer.json()).toMatchObject({
        RepoTags: ['redis:latest'],
        Config: {
          Entrypoint: ['docker-entrypoint.sh'],
          Cmd: ['redis-server'],
          ExposedPorts: { '6379/tcp': {} },
          Labels: { 'io.conclave.simulated': 'true' },
        },
      })
    },
  )

  test('is found by its id, by how that begins, and by its digest', async () => {
    const { id = '', digest = '' } = simulatedImage('redis', 'any') ?? {}
    for (const asked of [id, id.slice(7), id.slice(7, 19), `redis@${digest}`]) {
      expect((await front.ask('GET', `/images/${asked}/json`)).json()).toMatchObject({ Id: id })
    }
    expect((await front.ask('GET', `/images/nginx@${digest}/json`)).statusCode).toBe(404)
    const [one] = (await front.ask('GET', '/images/redis/history')).json<{ Id: string }[]>()
    expect(one?.Id).toBe(id)
  })

  // Whatever `docker inspect` is asked for is looked for here, too: a task's id is no image.
  test.each([
    ['nosuchthing', 'no such image: nosuchthing: No such image: nosuchthing:latest'],
    ['some/app:3', 'no such image: some/app:3: No such image: some/app:3'],
    [
      '7sisqcql0f0mvjijda4prje12',
      'no such image: 7sisqcql0f0mvjijda4prje12: No such image: 7sisqcql0f0mvjijda4prje12:latest',
    ],
  ])('%s is not there until somebody wants it', async (name, message) => {
    expect(await refusal('GET', `/images/${name}/json`)).toEqual([404, message])
  })

  test('is named once where it is not inspected', async () => {
    const message = 'No such image: nosuch:latest'
    expect(await refusal('DELETE', '/images/nosuch')).toEqual([404, message])
    expect(await refusal('GET', '/images/nosuch/history')).toEqual([404, message])
    const filters = encodeURIComponent('{"dangling":["perhaps"]}')
    expect(await refusal('GET', `/images/json?filters=${filters}`)).toEqual([
      400,
      "invalid filter 'dangling=[perhaps]'",
    ])
  })

  test('may be asked for by any text', async () => {
    const hostile = oneof(string({ maxLength: 60 }), stringMatching(/^[a-z0-9/.:@%-]{0,60}$/))
    await assert(
      asyncProperty(hostile, async (text) => {
        const path = `/images/${encodeURIComponent(text)}/json`
        const { statusCode, headers } = await front.ask('GET', path)
        expect([200, 404]).toContain(statusCode)
        expect(headers['content-type']).toBe('application/json')
        const looked = await front.ask('GET', `/distribution/${encodeURIComponent(text)}/json`)
        expect([200, 400, 404]).toContain(looked.statusCode)
      }),
    )
  })
})

const pull = async (query: string): Promise<readonly string[]> => {
  const answer = await front.ask('POST', `/images/create?${query}`)
  expect(answer.statusCode).toBe(200)
  return answer.body
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { status: string }).status)
}

describe('DK26: a pull', () => {
  test('of a simulated image fetches nothing, and says so', async () => {
    expect(await pull('fromImage=redis&tag=latest')).toEqual([
      'Pulling from library/redis',
      'redis is simulated by Conclave: nothing is fetched',
      expect.stringMatching(/^Digest: sha256:[0-9a-f]{64}$/),
      'Status: Image is up to date for redis:latest',
    ])
  })

  test('of another one is remembered until it is removed', async () => {
    expect(await pull('fromImage=some/app&tag=3')).toContain(
      'Status: Downloaded newer image for some/app:3',
    )
    expect(await pull('fromImage=some/app&tag=3')).toContain(
      'Status: Image is up to date for some/app:3',
    )
    expect(await listed()).toContain('some/app:3')
    const removed = await front.ask('DELETE', '/images/some/app:3')
    expect(removed.json()).toEqual([{ Untagged: 'some/app:3' }])
    expect(await listed()).toEqual(known)
  })

  test('that is none is refused in words that help', async () => {
    expect(await refusal('POST', '/images/create?fromImage=No%20Image')).toEqual([
      400,
      'invalid reference format',
    ])
    const [status, message] = await refusal('POST', '/images/create?fromSrc=-&repo=x')
    expect(status).toBe(501)
    expect(message).toContain('images are not imported here')
  })

  test('of what nobody has described is refused, where that is all there is', async () => {
    front = new Front({ simulatedImages: 'known' })
    const [status, message] = await refusal('POST', '/images/create?fromImage=nosuchimage&tag=1')
    expect(status).toBe(404)
    expect(message).toContain('pull access denied for nosuchimage:1')
    expect(message).toContain('alpine, busybox, eon01/infinite, nginx, postgres, redis')
    expect((await front.ask('GET', '/distribution/nosuchimage:1/json')).statusCode).toBe(404)
    expect(await listed()).toEqual(known)
  })

  test('has nothing to take from where nothing is simulated', async () => {
    front = new Front({ simulatedImages: 'off' })
    expect(await listed()).toEqual([])
    expect((await refusal('POST', '/images/create?fromImage=redis'))[0]).toBe(404)
  })
})

describe('DK26: the digest of an image', () => {
  test('is what a registry would say, so that a service is pinned to it', async () => {
    const answer = await front.ask('GET', '/distribution/eon01/infinite:latest/json')
    expect(answer.json()).toEqual({
      Descriptor: {
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
        digest: simulatedImage('eon01/infinite', 'known')?.digest,
        size: simulatedImage('eon01/infinite', 'known')?.manifest.length,
      },
      Platforms: [
        { architecture: 'amd64', os: 'linux' },
        { architecture: 'arm64', os: 'linux' },
      ],
    })
  })

  test('is not said for images of other registries: agents may pull those', async () => {
    expect((await front.ask('GET', '/distribution/localhost:5000/app/json')).statusCode).toBe(404)
  })
})

describe('DK27: what is not here', () => {
  test.each([
    ['DELETE', '/images/redis', 409, 'it is simulated, and always there'],
    ['POST', '/images/redis/tag?repo=x', 501, 'images have the names they have here'],
    ['POST', '/images/redis/push', 501, 'images are not pushed here'],
    ['POST', '/images/nosuch/push', 404, 'No such image: nosuch:latest'],
    ['GET', '/images/redis/get', 501, 'there are no archives of images here'],
    ['POST', '/images/load', 501, 'images are not loaded here'],
    ['POST', '/auth', 501, 'nobody logs in to a registry here'],
    ['POST', '/build', 501, 'images are not built here'],
    ['POST', '/session', 501, 'images are not built here'],
    ['POST', '/volumes/create', 501, 'volumes are not kept here'],
    ['GET', '/volumes/x', 404, 'get x: no such volume'],
    ['DELETE', '/volumes/x', 404, 'get x: no such volume'],
    ['GET', '/plugins/x/json', 404, 'plugin "x" not found'],
    ['POST', '/plugins/pull', 501, 'plugins are not installed here'],
    ['GET', '/images/redis/other', 404, 'page not found'],
  ] as const)('%s %s: %s', async (method, url, status, words) => {
    const [got, message] = await refusal(method, url)
    expect(got).toBe(status)
    expect(message).toContain(words)
  })

  test('is an empty list where a list is asked for', async () => {
    const volumes = await front.ask('GET', '/volumes')
    expect(volumes.json()).toEqual({ Volumes: [], Warnings: null })
    expect((await front.ask('GET', '/plugins')).json()).toEqual([])
    const found = await front.ask('GET', '/images/search?term=red')
    expect(found.json()).toMatchObject([{ name: 'redis', is_official: true }])
  })
})
