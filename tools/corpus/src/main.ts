import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runDirectory } from './corpus.ts'

const { positionals } = parseArgs({ allowPositionals: true })
const { text, exitCode } = runDirectory({
  named: positionals[0],
  root: join(import.meta.dirname, '../../..'),
  environment: process.env,
})
process.stdout.write(`${text}\n`)
process.exitCode = exitCode
