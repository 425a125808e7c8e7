import { describe, expect, test } from 'vitest'
import { outcomeOf, record, runScript, runToEnd, testMachine } from './testing/index.ts'

function runWith(files: Readonly<Record<string, string>>, script: string, mode = 0o755) {
  const made = testMachine()
  for (const [path, text] of Object.entries(files)) made.fs.put(path, text, mode)
  const recording = record(made.machine, ['sh', '-c', script])
  runToEnd(made)
  return outcomeOf(recording)
}

describe('SH4: a program that cannot be run', () => {
  test('is 127 when there is none', () => {
    const { exitCode, stderr } = runScript('nosuch')

    expect(exitCode).toBe(127)
    expect(stderr).toBe('sh: 1: nosuch: not found\n')
  })

  test('is 127 and a message as pid 1 too', () => {
    const made = testMachine()
    const recording = record(made.machine, ['nosuch'])
    runToEnd(made)

    expect(outcomeOf(recording)).toEqual({
      exitCode: 127,
      stdout: '',
      stderr: 'nosuch: not found\n',
    })
  })

  test.each([
    ['a file without the bit to execute it', './f', 0o644],
    ['a directory', '/tmp', 0o755],
  ])('is 126 when it is %s', (_, name, mode) => {
    expect(runWith({ '/tmp/f': 'echo hi' }, name, mode)).toMatchObject({
      exitCode: 126,
      stderr: `sh: 1: ${name}: Permission denied\n`,
    })
  })

  test('is 126 when it is machine code', () => {
    expect(runWith({ '/tmp/f': '\x7fELF\0\0' }, './f')).toMatchObject({ exitCode: 126 })
  })

  test('is 127 when the interpreter of a script is missing', () => {
    expect(runWith({ '/tmp/f': '#!/bin/nosuch\n' }, './f')).toMatchObject({ exitCode: 127 })
  })

  test('is 2 for a shell whose script is missing', () => {
    expect(runScript('sh nosuch')).toMatchObject({
      exitCode: 2,
      stderr: 'sh: 0: cannot open nosuch: No such file or directory\n',
    })
  })

  test('is 126 when scripts are interpreters of each other', () => {
    const files = { '/tmp/a': '#!/tmp/b\n', '/tmp/b': '#!/tmp/a\n' }

    expect(runWith(files, './a')).toMatchObject({ exitCode: 126 })
  })
})

describe('a program', () => {
  test.each(['true', '/bin/true', '/usr/bin/true', '../bin/true'])('is found as %s', (name) => {
    expect(runScript(`command ${name}; echo $?`).stdout).toBe('0\n')
  })

  test('is found in the order of PATH, a real file first', () => {
    const files = { '/opt/a/hello': 'echo a', '/opt/b/hello': 'echo b' }

    expect(runWith(files, 'PATH=/opt/b:/opt/a; hello; command -v hello').stdout).toBe(
      'b\n/opt/b/hello\n',
    )
  })

  test('is taken from a real file in place of a simulated one', () => {
    expect(runWith({ '/bin/cat': 'echo mine' }, 'PATH=/bin cat').stdout).toBe('mine\n')
  })

  test('is nowhere when PATH does not lead to it', () => {
    expect(runScript('PATH=/nowhere; sh').exitCode).toBe(127)
  })

  test('is a script that runs in the interpreter of its first line, with its option', () => {
    const files = { '/tmp/f': '#!/bin/sh -e\necho "$0 $1"\nfalse\necho never\n' }

    expect(runWith(files, './f x')).toMatchObject({ stdout: './f x\n', exitCode: 1 })
  })

  test('is a script that runs in sh without a first line', () => {
    expect(runWith({ '/tmp/f': 'echo "$0 $1"' }, './f x').stdout).toBe('./f x\n')
  })

  test('may be a script of a program that is no shell', () => {
    expect(runWith({ '/tmp/f': '#!/bin/cat\nhello\n' }, './f').stdout).toBe('#!/bin/cat\nhello\n')
  })
})
