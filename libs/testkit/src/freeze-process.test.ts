import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished, expect, test } from 'vitest'
import { freezeProcess } from './freeze-process.ts'

test('TK8: a process says nothing between standing still and going on', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => console.log("here"), 1)'])
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')

  await freezeProcess(child, true)
  child.stdout.removeAllListeners('data')
  // What was written before stands in the pipe.
  await new Promise((resolve) => setTimeout(resolve, 50))
  child.stdout.read()
  let said = 0
  child.stdout.on('data', () => {
    said += 1
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(said).toBe(0)

  await freezeProcess(child, false)
  await once(child.stdout, 'data')
})

test('TK8: one that has ended is as still as one can be', async () => {
  const child = spawn('true')
  await once(child, 'exit')

  await expect(freezeProcess(child, true)).resolves.toBeUndefined()
})
