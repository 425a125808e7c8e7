import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import type { Host } from '../host.ts'

/** A host under test, and how to look into the container it prepares. */
export interface HostUnderTest {
  readonly host: Host
  /** The file at a path as the container sees it, or nothing. */
  readonly file: (at: string) => FileUnderTest | undefined
  readonly variable: (name: string) => Uint8Array | undefined
}

export interface FileUnderTest {
  readonly bytes: Uint8Array
  readonly mode: number
  readonly isReadOnly: boolean
}

const owner = { uid: 1000, gid: 1000 }
const at = '/mnt/mesos/sandbox/keys/db'
const bytesOf = (text: string) => new Redacted(utf8(text))

/** What every host promises. Its maker runs it: `describeHost('memory', () => …)`. */
export function describeHost(name: string, make: () => HostUnderTest): void {
  describe(`${name} as a host`, () => {
    test('shows a file of the tmpfs where it is bound, and nowhere before', async () => {
      const { host, file } = make()
      await host.mountTmpfs(4096, 64)
      await host.writeFile('0', bytesOf('s3cr3t'), 0o400, owner)
      expect(file(at)).toBeUndefined()

      await host.bindFile('0', at, { isReadOnly: true })

      expect(utf8Text(file(at)?.bytes ?? utf8(''))).toBe('s3cr3t')
      expect(file(at)).toMatchObject({ mode: 0o400, isReadOnly: true })
    })

    test('binds below directories that are not there yet, and over a file that is', async () => {
      const { host, file } = make()
      await host.mountTmpfs(8192, 64)
      await host.writeFile('0', bytesOf('zero'), 0o400, owner)
      await host.writeFile('1', bytesOf('one'), 0o600, owner)
      await host.bindFile('0', '/opt/a/b/c', { isReadOnly: true })
      await host.bindFile('1', '/etc/hostname', { isReadOnly: false })

      expect(utf8Text(file('/opt/a/b/c')?.bytes ?? utf8(''))).toBe('zero')
      expect(file('/etc/hostname')).toMatchObject({ mode: 0o600, isReadOnly: false })
    })

    test('keeps copies: the caller may wipe what it gave', async () => {
      const { host, file, variable } = make()
      const bytes = bytesOf('s3cr3t')
      await host.mountTmpfs(4096, 64)
      await host.writeFile('0', bytes, 0o400, owner)
      await host.bindFile('0', at, { isReadOnly: true })
      await host.setEnv('DB', bytes)
      bytes.reveal().fill(0)

      expect(utf8Text(file(at)?.bytes ?? utf8(''))).toBe('s3cr3t')
      expect(utf8Text(variable('DB') ?? utf8(''))).toBe('s3cr3t')
    })

    test('refuses a second tmpfs, a second file of a name, and a file without tmpfs', async () => {
      const { host } = make()
      await expect(host.writeFile('0', bytesOf('x'), 0o400, owner)).rejects.toThrow()
      await host.mountTmpfs(8192, 64)
      await host.writeFile('0', bytesOf('x'), 0o400, owner)

      await expect(host.mountTmpfs(8192, 64)).rejects.toThrow()
      await expect(host.writeFile('0', bytesOf('x'), 0o400, owner)).rejects.toThrow()
      await expect(host.bindFile('1', at, { isReadOnly: true })).rejects.toThrow()
    })

    test('gives a tmpfs whole pages and not one more', async () => {
      const { host } = make()
      await host.mountTmpfs(8192, 64)
      await host.writeFile('0', bytesOf('x'), 0o400, owner)
      await host.writeFile('1', new Redacted(new Uint8Array(4096)), 0o400, owner)

      await expect(host.writeFile('2', bytesOf('x'), 0o400, owner)).rejects.toThrow()
    })

    test('puts a new file in the place of another, wherever that is bound', async () => {
      const { host, file } = make()
      await host.mountTmpfs(4096, 64)
      await host.writeFile('0', bytesOf('old'), 0o440, owner)
      await host.bindFile('0', at, { isReadOnly: true })
      const larger = 'new '.repeat(2000)
      await host.replaceFile('0', bytesOf(larger))

      expect(utf8Text(file(at)?.bytes ?? utf8(''))).toBe(larger)
      expect(file(at)).toMatchObject({ mode: 0o440, isReadOnly: true })
      await expect(host.replaceFile('1', bytesOf('x'))).rejects.toThrow()
    })

    test('undone, it shows nothing', async () => {
      const { host, file, variable } = make()
      await host.mountTmpfs(4096, 64)
      await host.writeFile('0', bytesOf('s3cr3t'), 0o400, owner)
      await host.bindFile('0', at, { isReadOnly: true })
      await host.setEnv('DB', bytesOf('s3cr3t'))

      await host.clearEnv()
      await host.unbindFile(at)
      await host.unmountTmpfs()

      expect(file(at)?.bytes.length ?? 0).toBe(0)
      expect(variable('DB')).toBeUndefined()
    })

    test('undoing what is not there harms nobody', async () => {
      const { host } = make()
      await host.clearEnv()
      await host.unbindFile(at)
      await host.unmountTmpfs()
      await host.mountTmpfs(4096, 64)

      await expect(host.writeFile('0', bytesOf('x'), 0o400, owner)).resolves.toBeUndefined()
    })
  })
}
