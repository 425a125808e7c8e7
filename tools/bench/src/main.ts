import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { containersSuite } from './containers-suite.ts'
import { lineOf, type Report, type Result } from './result.ts'
import { storeSuite } from './store-suite.ts'

const suites: Readonly<Record<string, (isBrief: boolean) => Promise<readonly Result[]>>> = {
  store: storeSuite,
  containers: containersSuite,
}

const usage = `npm run bench [-- SUITE…] [--json FILE] [--brief]

Suites: ${Object.keys(suites).join(', ')} (all unless named)
  --json FILE  write {suite, machine, results}, or a list of them, as JSON
  --brief      small numbers, to see that everything runs; measures nothing worth quoting
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    brief: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !Object.hasOwn(suites, name))
if (values.help || unknown.length > 0) {
  for (const name of unknown) process.stderr.write(`bench: no suite is called ${name}\n`)
  process.stdout.write(usage)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const machine = [
  `${cpus().length}× ${cpus()[0]?.model ?? 'unknown'}`,
  `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  `${process.platform} ${process.arch}`,
  `Node ${process.versions.node}`,
].join(', ')
process.stdout.write(`${machine}\n`)

const reports: Report[] = []
for (const suite of positionals.length > 0 ? positionals : Object.keys(suites)) {
  process.stdout.write(`\n${suite}\n`)
  const results = (await suites[suite]?.(values.brief)) ?? []
  for (const result of results) process.stdout.write(`  ${lineOf(result)}\n`)
  reports.push({ suite, machine, results })
}
if (values.json !== undefined) {
  const [only] = reports
  writeFileSync(values.json, `${JSON.stringify(reports.length === 1 ? only : reports, null, 2)}\n`)
}
