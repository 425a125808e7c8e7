import type { ContainerExit } from '@conclave/actors'
import { perform, type ImageEntry, type ImageRoot, type Plan } from '@conclave/isolators'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { CommandInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { MemoryRuntime } from './memory-runtime.ts'

const root = { uid: 0, gid: 0 }
const task = { name: 'task', uid: 1000, gid: 1000 }
const file = (path: string, text: string, mode = 0o644): ImageEntry => ({
  kind: 'file',
  path,
  mode,
  owner: root,
  bytes: utf8(text),
})
const directory = (path: string): ImageEntry => ({
  kind: 'directory',
  path,
  mode: 0o755,
  owner: root,
})
const imageOf = (
  entries: readonly ImageEntry[],
  more: Partial<ImageRoot['config']> = {},
): ImageRoot => ({
  entries,
  sizeBytes: 0,
  config: {
    entrypoint: [],
    command: [],
    environment: new Map(),
    workingDirectory: undefined,
    ...more,
  },
})
const provision = {
  do: 'provision-image',
  image: { name: 'app', isCached: true, dockerConfig: undefined },
} as const

/** Runs one container of `image`, and tells what it printed. */
async function run(image: ImageRoot, command: object, plan: Plan = [provision]): Promise<string> {
  const runtime = new MemoryRuntime({ images: { provision: async () => image } })
  const info = parseOurs(CommandInfo, command)
  const spec = { containerId: 'c', hostname: 'box', argv: [], command: info, user: task }
  const container = await runtime.create(spec)
  await perform(plan, container.host)
  const { promise, resolve } = Promise.withResolvers<ContainerExit>()
  await container.start(resolve)
  await promise
  const chunks: string[] = []
  for await (const { bytes } of container.output({ follow: true }, new AbortController().signal)) {
    chunks.push(utf8Text(bytes))
  }
  runtime.destroyAll()
  return chunks.join('')
}

describe('MR10: an image', () => {
  const script = '#!/bin/sh\necho "$GREETING, $1 from $(pwd)"; cat data'
  const app = [
    directory('/app'),
    file('/app/run.sh', script, 0o755),
    file('/app/data', 'of the image'),
  ]
  const config = {
    entrypoint: ['/app/run.sh', 'you'],
    environment: new Map([['GREETING', 'hello']]),
    workingDirectory: '/app',
  }

  test('is the root of its container, and says what is run, where and with which variables', async () => {
    const said = await run(imageOf(app, config), { shell: false })
    expect(said).toBe('hello, you from /app\nof the image')
  })

  test('gives way to what its task says', async () => {
    const plan: Plan = [
      { do: 'set-env', name: 'GREETING', value: 'from the agent' },
      provision,
      { do: 'set-env', name: 'GREETING', value: new Redacted(utf8('from the task')) },
    ]
    const said = await run(imageOf(app, config), { value: 'echo $GREETING' }, plan)
    expect(said).toBe('from the task\n')
  })

  test('is shared by its containers until one of them writes', async () => {
    const image = imageOf(app, config)
    expect(await run(image, { value: 'cat /app/data', user: 'root' })).toBe('of the image')
    await run(image, { value: 'echo changed > data' })
    expect(await run(image, { value: 'cat /app/data' })).toBe('of the image')
  })

  test('has links within itself, and what is over a link of the base replaces it', async () => {
    const linked = imageOf([
      directory('/usr'),
      directory('/usr/etc'),
      file('/usr/etc/name', 'linked'),
      { kind: 'symlink', path: '/conf', target: 'usr/etc', owner: root },
    ])
    expect(await run(linked, { value: 'cat /conf/name; cat /etc/hostname' })).toBe('linkedbox\n')
  })

  test('does not hide the sandbox, nor where secrets are', async () => {
    const hiding = imageOf([{ kind: 'symlink', path: '/mnt', target: '/tmp', owner: root }])
    await expect(run(hiding, { value: 'true' })).rejects.toThrow(
      'the image has no directory at /mnt',
    )
  })
})

test('MR10: without a source of images, none is had', async () => {
  const runtime = new MemoryRuntime()
  const spec = { containerId: 'c', hostname: 'box', argv: ['true'], user: task }
  const { host } = await runtime.create(spec)
  await expect(perform([provision], host)).rejects.toThrow('this machine gets no images')
})
