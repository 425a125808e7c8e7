import { expect, test } from 'vitest'
import { ConnectionLoad } from './connection-load.ts'

const mebibyte = 1024 * 1024

function watched(): { load: ConnectionLoad; said: string[] } {
  const said: string[] = []
  const load = new ConnectionLoad({
    pause: () => said.push('pause'),
    resume: () => said.push('resume'),
  })
  return { load, said }
}

test('MA21: large messages are as much as many', async () => {
  const { load, said } = watched()
  const { promise, resolve } = Promise.withResolvers<void>()

  const carried = [load.carry(8 * mebibyte, promise)]
  expect(said).toEqual([])
  carried.push(load.carry(8 * mebibyte, promise))
  expect(said).toEqual(['pause'])

  resolve()
  await Promise.all(carried)
  expect(said).toEqual(['pause', 'resume'])
})

test('MA21: who was paused goes on once half of it is done', async () => {
  const { load, said } = watched()
  const works = Array.from({ length: 256 }, () => Promise.withResolvers<void>())
  const carried = works.map(({ promise }) => load.carry(1, promise))
  expect(said).toEqual(['pause'])

  for (const { resolve } of works.slice(0, 128)) resolve()
  await Promise.all(carried.slice(0, 128))
  expect(said).toEqual(['pause'])

  for (const { resolve } of works) resolve()
  await Promise.all(carried)
  expect(said).toEqual(['pause', 'resume'])
})
