import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { check } from './check.ts'
import { readRooms, type Manifest } from './rooms.ts'

const root = join(import.meta.dirname, '../../..')
const rootManifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const rooms = readRooms(root)
const faults = check(rooms, rootManifest)

for (const { at, rule, message } of faults) process.stderr.write(`${at}: ${message} [${rule}]\n`)
const files = rooms.reduce((count, room) => count + room.files.size, 0)
process.stdout.write(
  `house: ${rooms.length} rooms, ${files} files, ${faults.length === 0 ? 'all in order' : `${faults.length} faults`}\n`,
)
if (faults.length > 0) process.exitCode = 1
