import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { checkContainer } from './container.ts'
import { planReplacements, replaceFiles } from './replace.ts'
import { MemoryHost } from './testing/index.ts'

const command = parseOurs(CommandInfo, { value: 'true' })
const volume = (container_path: string, mode = 0o444): object => ({
  mode: 'RO',
  container_path,
  source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: 'db' } } },
  file: { mode, uid: 0, gid: 0 },
})
const checked = (...volumes: object[]) =>
  checkContainer(command, parseOurs(ContainerInfo, { type: 'MESOS', volumes }))
const bytesOf = (text: string) => new Redacted(utf8(text))
const isWiped = (value: Redacted<Uint8Array>): boolean => value.reveal().every((byte) => byte === 0)

describe('IS17: new contents for files', () => {
  test('go to the file at their place, in whatever order they are listed', () => {
    const plan = planReplacements(
      checked(volume('/a'), volume('/b')),
      checked(volume('/b'), volume('/a')),
      [bytesOf('of b'), bytesOf('of a')],
    )
    expect(plan.map(({ name, bytes }) => [name, utf8Text(bytes.reveal())])).toEqual([
      ['1', 'of b'],
      ['0', 'of a'],
    ])
  })

  test.each([
    ['another place', [volume('/c')], 'x'],
    ['another mode', [volume('/a', 0o400)], 'x'],
    ['one more', [volume('/a'), volume('/b')], 'x'],
    ['too much', [volume('/a')], 'x'.repeat(1_048_577)],
  ])('are refused with %s, and wiped', (_what, after, text) => {
    const values = after.map(() => bytesOf(text))
    expect(() => planReplacements(checked(volume('/a')), checked(...after), values)).toThrow()
    expect(values.every(isWiped)).toBe(true)
  })

  test('are wiped once they are in their places, and when one of them cannot be', async () => {
    const host = new MemoryHost()
    await host.mountTmpfs(8192)
    await host.writeFile('0', bytesOf('old'), 0o444, { uid: 0, gid: 0 })
    await host.bindFile('0', '/a', { isReadOnly: true })
    const values = [bytesOf('new'), bytesOf('none')]
    const files = values.map((bytes, index) => ({ name: `${index}`, bytes }))

    await expect(replaceFiles(files, host)).rejects.toThrow('there is no file 1')

    expect(utf8Text(host.seen('/a')?.bytes ?? utf8(''))).toBe('new')
    expect(values.every(isWiped)).toBe(true)
  })
})
