import { HostFailed, perform, type FetchedFile, type Plan } from '@conclave/isolators'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { MemoryRuntime } from './memory-runtime.ts'

const root = { uid: 0, gid: 0 }
const user = { name: 'task', uid: 1000, gid: 1000 }
const spec = { containerId: 'c1', hostname: 'box', argv: ['true'], user }
const plan = (): Plan => [
  {
    do: 'fetch-uri',
    owner: user,
    uri: {
      value: 'https://x/y',
      outputFile: 'y',
      isExecutable: false,
      isExtracted: true,
      secrets: { authorization: new Redacted(utf8('Bearer x')) },
    },
  },
]

async function fetched(files: readonly FetchedFile[]) {
  const runtime = new MemoryRuntime({ uris: { filesOf: async () => files } })
  const { host } = await runtime.create(spec)
  await perform(plan(), host)
  return runtime.containers.get('c1')
}

describe('MR11: what was fetched', () => {
  test('lies in the sandbox, as its user may read and change it', async () => {
    const container = await fetched([
      { kind: 'directory', path: 'in', mode: 0o755 },
      { kind: 'file', path: 'in/run', mode: 0o755, bytes: utf8('echo') },
      { kind: 'symlink', path: 'in/link', target: 'run' },
      { kind: 'file', path: 'deep/er/data', mode: 0o644, bytes: utf8('data') },
    ])
    const at = '/mnt/mesos/sandbox/in/link'
    const stat = container?.fs.stat(at, user)
    expect(stat).toMatchObject({ mode: 0o755, uid: 1000, sizeBytes: 4 })
    const handle = container?.fs.open('/mnt/mesos/sandbox/deep/er/data', {}, user)
    expect(utf8Text(handle?.read(0, 4) ?? utf8(''))).toBe('data')
  })

  test('replaces nothing that its user may not write to, and no link leads it there', async () => {
    const files: FetchedFile[] = [
      { kind: 'symlink', path: 'out', target: '/etc' },
      { kind: 'file', path: 'out/passwd', mode: 0o644, bytes: utf8('evil') },
    ]
    await expect(fetched(files)).rejects.toThrow("Failed to fetch all URIs for container 'c1'")
  })

  test('fails its container with the reason, without a prefix', async () => {
    const runtime = new MemoryRuntime({
      uris: {
        filesOf: () => Promise.reject(new HostFailed("Failed to fetch 'https://x/y': HTTP 401")),
      },
    })
    const { host } = await runtime.create(spec)
    await expect(perform(plan(), host)).rejects.toThrow(
      "Failed to fetch all URIs for container 'c1': Failed to fetch 'https://x/y': HTTP 401",
    )
    const file = runtime.containers.get('c1')?.fs
    expect(() => file?.stat('/mnt/mesos/sandbox/y', root)).toThrow('No such file')
  })
})
