import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runDirectory } from './corpus.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { trace: { type: 'string' } },
})
const { text, exitCode } = runDirectory({
  named: positionals[0],
  root: join(import.meta.dirname, '../../..'),
  environment: process.env,
  traceFile: values.trace,
})
process.stdout.write(`${text}\n`)
process.exitCode = exitCode
