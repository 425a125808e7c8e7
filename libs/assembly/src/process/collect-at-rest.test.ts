import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { RestWatch } from './collect-at-rest.ts'

const mebibyte = 1024 * 1024
const busy = 0.9
const resting = 0.01

describe('the heap of a process that has come to rest', () => {
  test('is looked through at the second look that finds it resting', () => {
    const watch = new RestWatch()

    expect(watch.isDue(150 * mebibyte, busy)).toBe(false)
    expect(watch.isDue(150 * mebibyte, resting)).toBe(false)
    expect(watch.isDue(150 * mebibyte, resting)).toBe(true)
  })

  test('is not looked through while the process works', () => {
    const watch = new RestWatch()

    const looks = [resting, busy, resting, busy].map((share) => watch.isDue(150 * mebibyte, share))
    expect(looks).toEqual([false, false, false, false])
  })

  test('is looked through again only once there is more in it', () => {
    const watch = new RestWatch()
    watch.isDue(150 * mebibyte, resting)
    watch.collected(80 * mebibyte)

    expect(watch.isDue(90 * mebibyte, resting)).toBe(false)
    expect(watch.isDue(100 * mebibyte, resting)).toBe(true)
  })

  test('is left alone when it is so large that its process would stand still for long', () => {
    const watch = new RestWatch()
    watch.isDue(500 * mebibyte, resting)

    expect(watch.isDue(500 * mebibyte, resting)).toBe(false)
    expect(watch.isDue(150 * mebibyte, resting)).toBe(true)
  })

  test('gives back what a burst has left', async () => {
    const here = fileURLToPath(new URL('./collect-at-rest.ts', import.meta.url))
    const program = `
      const { collectAtRest } = await import(${JSON.stringify(here)})
      collectAtRest()
      let left = []
      for (let n = 0; n < 1_000_000; n++) left.push({ n })
      left = undefined
      const heap = () => process.memoryUsage().heapTotal
      const before = heap()
      const looking = setInterval(() => {
        if (heap() > before - 32 * 1024 * 1024) return
        console.log('less')
        clearInterval(looking)
      }, 50)`
    const args = ['--expose-gc', '--input-type=module', '--eval', program]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })

    expect(stdout).toBe('less\n')
  })
})
