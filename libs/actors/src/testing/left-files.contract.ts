import { Redacted, utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import type { LeftFiles } from '../agent/leaks/left-file.ts'

export interface LeftFilesUnderTest {
  readonly left: LeftFiles
  /** What lies there, with its mode, or nothing. */
  readonly read: (path: string) => { readonly text: string; readonly mode: number } | undefined
}

const bytes = (text: string) => new Redacted(utf8(text))

/** What every place for such files promises. */
export function describeLeftFiles(name: string, make: () => LeftFilesUnderTest): void {
  describe(`${name} as a place for what is left`, () => {
    const at = ['runtime_dir', 'containers', 'c', 'config'] as const

    test('has what was written, with its mode, and the newest of it', () => {
      const { left, read } = make()
      left.write(at, bytes('a longer text'), 0o644)
      left.write(at, bytes('a text'), 0o600)

      expect(read(at.join('/'))).toEqual({ text: 'a text', mode: 0o600 })
    })

    test('removes a file, or all of a directory, or nothing', () => {
      const { left, read } = make()
      left.write(at, bytes('one'), 0o600)
      left.write(['runtime_dir', 'containers', 'd', 'config'], bytes('two'), 0o600)
      left.write(['runtime_dir', 'containers', 'd', 'launch_info'], bytes('three'), 0o600)

      left.remove(['runtime_dir', 'containers', 'd', 'launch_info'])
      left.remove(['work_dir', 'meta'])
      expect(read('runtime_dir/containers/d/launch_info')).toBeUndefined()
      expect(read('runtime_dir/containers/d/config')?.text).toBe('two')
      left.remove(['runtime_dir', 'containers', 'd'])
      expect(read('runtime_dir/containers/d/config')).toBeUndefined()
      expect(read(at.join('/'))?.text).toBe('one')
    })
  })
}
