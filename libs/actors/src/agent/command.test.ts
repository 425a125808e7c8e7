import { expect, test } from 'vitest'
import { userOf } from './command.ts'

const command = (user?: string) => ({
  uris: [],
  arguments: [],
  ...(user === undefined ? {} : { user }),
})

test.each([
  [undefined, { name: 'task', uid: 1000, gid: 1000 }],
  ['app', { name: 'app', uid: 1000, gid: 1000 }],
  ['root', { name: 'root', uid: 0, gid: 0 }],
  ['0', { name: 'root', uid: 0, gid: 0 }],
  ['0:0', { name: 'root', uid: 0, gid: 0 }],
  ['1001', { name: '1001', uid: 1001, gid: 0 }],
  ['1001:1002', { name: '1001:1002', uid: 1001, gid: 1002 }],
  ['1001:app', { name: '1001:app', uid: 1000, gid: 1000 }],
])('a command of %s runs as somebody whom the container knows', (user, who) => {
  expect(userOf(command(user))).toEqual(who)
})
