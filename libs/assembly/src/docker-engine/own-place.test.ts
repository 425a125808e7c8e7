import { createServer, type AddressInfo } from 'node:net'
import { SystemRandom } from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseOwnPlace, EnginePlaceUnusable } from './own-place.ts'

const who = { masterId: 'master-1', nodeId: 1 }
const random = new SystemRandom()
const taken = createServer()
let takenPort = 0

beforeEach(async () => {
  await new Promise<void>((resolve) => void taken.listen(0, '127.0.0.1', resolve))
  takenPort = (taken.address() as AddressInfo).port
})
afterEach(() => new Promise((resolve) => void taken.close(resolve)))

describe('the place of a master', () => {
  test('with port 0 is wherever it is free, and a port that can be kept', async () => {
    const { ports } = await chooseOwnPlace(who, { host: '', port: 0 }, random)
    expect(ports.join).toBeGreaterThan(0)
  })

  test('is refused at a port that is taken', async () => {
    const chosen = chooseOwnPlace(who, { host: '127.0.0.1', port: takenPort }, random)
    await expect(chosen).rejects.toThrow(EnginePlaceUnusable)
    await expect(chosen).rejects.toThrow(`127.0.0.1:${takenPort} cannot be listened on`)
  })

  test('is refused on what is no interface, with the names of those that are', async () => {
    const chosen = chooseOwnPlace(who, { host: 'nosuch0', port: undefined }, random)
    await expect(chosen).rejects.toThrow(/could not find network interface nosuch0.*lo/)
  })
})
