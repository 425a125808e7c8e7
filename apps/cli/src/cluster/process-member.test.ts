import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  masterDirectory,
  prepareCluster,
  addressesFor,
  type MasterAddress,
} from '@conclave/assembly'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startProcess, type ProcessOptions } from './process-member.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let directory: string
let addresses: readonly MasterAddress[]

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'conclave-process-'))
  addresses = await addressesFor(await prepareCluster(directory, { masters: 1, agents: 0 }))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function master(config: object = {}): ProcessOptions {
  const configFile = join(directory, 'master-1.json')
  const dataDirectory = masterDirectory(directory, 'master-1')
  const all = { dataDirectory, masters: addresses, stopWithInput: true, ...config }
  writeFileSync(configFile, JSON.stringify(all))
  return {
    id: 'master-1',
    kind: 'master',
    configFile,
    logFile: join(directory, 'master-1.log'),
  }
}

const listens = (): Promise<boolean> =>
  fetch(`http://127.0.0.1:${addresses[0]?.ports.conclave}/health`).then(
    ({ status }) => status === 200,
    () => false,
  )

test('a process is there once its start resolves, and gone once its stop does', async () => {
  const member = await startProcess(master())
  expect(await listens()).toBe(true)

  await member.stop()

  expect(await listens()).toBe(false)
})

test('a process that was killed starts again on what it left', async () => {
  const first = await startProcess(master())
  await first.kill()
  expect(await listens()).toBe(false)

  const second = await startProcess(master())
  expect(await listens()).toBe(true)
  await second.stop()
})

test('a process that does not start is told of with the end of its log', async () => {
  const start = startProcess(master({ dataDirectory: join(directory, 'nowhere') }))

  await expect(start).rejects.toThrow(/master-1 did not start \(exit code 1\)[^]*identity\.pem/)
})

test('a process that ends by itself is told of', async () => {
  const member = await startProcess(master())
  process.kill(member.pid ?? 0, 'SIGKILL')

  expect(await member.lost).toBe('SIGKILL')
})

test.skipIf(process.platform === 'win32')('a log is for its owner alone', async () => {
  const member = await startProcess(master())
  await member.stop()

  expect(statSync(join(directory, 'master-1.log')).mode & 0o077).toBe(0)
})
