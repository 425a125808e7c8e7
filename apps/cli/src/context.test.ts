import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  contextFile,
  readContext,
  recallPassword,
  rememberPassword,
  removeContext,
  writeContext,
} from './context.ts'
import { CommandFailed } from './failure.ts'

const at = 'http://127.0.0.1:1'
const master = { masterId: 'master-1', conclave: at, dcos: at, mesos: at }
const context = { clusterId: 'one', masters: [master], uid: 'dev', password: 'p' }

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'conclave-context-'))
  vi.stubEnv('CONCLAVE_CONTEXT', join(directory, 'deep', 'context.json'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true, force: true })
})

describe('a context', () => {
  test('is read as it was written', () => {
    writeContext(context)

    expect(readContext()).toEqual(context)
  })

  test.skipIf(process.platform === 'win32')(
    'CC8: is for its owner alone, with nothing beside it',
    () => {
      writeContext(context)

      expect(statSync(contextFile()).mode & 0o077).toBe(0)
      expect(readdirSync(join(directory, 'deep'))).toEqual(['context.json'])
    },
  )

  test.skipIf(process.platform === 'win32')(
    'CC8: is written through no link that somebody has laid beside it',
    () => {
      const victim = join(directory, 'victim')
      mkdirSync(join(directory, 'deep'))
      symlinkSync(victim, `${contextFile()}.${process.pid}.tmp`)
      symlinkSync(victim, contextFile())

      writeContext(context)

      expect(existsSync(victim)).toBe(false)
      expect(readContext()).toEqual(context)
    },
  )

  test('CC8: goes with its cluster, and with no other', () => {
    writeContext(context)

    removeContext('another')
    expect(existsSync(contextFile())).toBe(true)
    removeContext('one')
    expect(existsSync(contextFile())).toBe(false)
  })

  test('that is missing says how to start a cluster', () => {
    expect(() => readContext()).toThrow(/npm start/)
  })

  test('that is damaged says where', () => {
    writeContext(context)
    writeFileSync(
      contextFile(),
      JSON.stringify({ ...context, masters: [{ ...master, dcos: 'x' }] }),
    )

    expect(() => readContext()).toThrow(CommandFailed)
    expect(() => readContext()).toThrow(/masters\.0\.dcos/)
  })
})

test('a first password is remembered for each cluster, beside the context', () => {
  rememberPassword('one', 'p1')
  rememberPassword('two', 'p2')

  expect(recallPassword('one')).toBe('p1')
  expect(recallPassword('two')).toBe('p2')
  expect(recallPassword('three')).toBeUndefined()
})
