import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8Text } from '@conclave/kernel'
import { expect, onTestFinished, test } from 'vitest'
import { CommandFailed } from './failure.ts'
import { readJoinToken } from './join-token-input.ts'

test('a join token on the command line is taken, and said to be seen by everybody there', async () => {
  const said: string[] = []

  const token = await readJoinToken({ token: 'SWMTKN-1-x' }, (text) => said.push(text))

  expect(utf8Text(token?.reveal() ?? new Uint8Array())).toBe('SWMTKN-1-x')
  expect(said).toEqual([expect.stringContaining('--token-file')])
  expect(said.join()).not.toContain('SWMTKN')
})

test('a join token in a file is read without its line end, and nothing is said', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'conclave-token-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const said: string[] = []
  await writeFile(join(directory, 'token'), 'SWMTKN-1-x\r\n')

  const token = await readJoinToken({ tokenFile: join(directory, 'token') }, (text) =>
    said.push(text),
  )

  expect(utf8Text(token?.reveal() ?? new Uint8Array())).toBe('SWMTKN-1-x')
  expect(said).toEqual([])
  expect(await readJoinToken({})).toBeUndefined()
  await expect(readJoinToken({ token: 'a', tokenFile: 'b' })).rejects.toThrow(CommandFailed)
})
