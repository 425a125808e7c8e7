import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { containersSuite } from './containers-suite.ts'
import { dockerSuite } from './docker/docker-suite.ts'
import { mesosSuite } from './mesos-suite.ts'
import { lineOf, type Report, type Result } from './result.ts'
import { storeRows, storeSuite } from './store/store-suite.ts'
import { workloadsSuite } from './workloads-suite.ts'

const suiteNames = ['store', 'containers', 'mesos', 'workloads', 'docker'] as const
const rows = Object.entries(storeRows).map(([name, { what }]) => `  ${name.padEnd(12)} ${what}`)

const usage = `npm run bench [-- SUITE…] [--json FILE] [--brief] [--only ROW,…] [--fsync-delay MS]

Suites: ${suiteNames.join(', ')} (all unless named)
  --json FILE       write {suite, machine, results}, or a list of them, as JSON
  --brief           small numbers, to see that everything runs; measures nothing worth quoting
  --only ROW,…      of the store suite, these rows alone
  --fsync-delay MS  of the store suite, make each sync of our journals so much longer at the store port

Rows of the store suite:
${rows.join('\n')}

Example: npm run bench -- store --only puts,gets --json numbers.json
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    brief: { type: 'boolean', default: false },
    only: { type: 'string' },
    'fsync-delay': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const only = values.only?.split(',').filter((name) => name !== '')
const fsyncDelayMs = Number(values['fsync-delay'] ?? 0)
const complaints = [
  ...positionals
    .filter((name) => !suiteNames.some((one) => one === name))
    .map((name) => `no suite is called ${name}`),
  ...(only ?? [])
    .filter((name) => !Object.hasOwn(storeRows, name))
    .map((name) => `the store suite has no row called ${name}`),
  ...(fsyncDelayMs >= 0 && fsyncDelayMs <= 1000
    ? []
    : ['--fsync-delay is a number of milliseconds, from 0 to 1000']),
]
if (values.help || complaints.length > 0) {
  for (const complaint of complaints) process.stderr.write(`bench: ${complaint}\n`)
  process.stdout.write(usage)
  process.exit(complaints.length > 0 ? 2 : 0)
}

const machine = [
  `${cpus().length}× ${cpus()[0]?.model ?? 'unknown'}`,
  `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  `${process.platform} ${process.arch}`,
  `Node ${process.versions.node}`,
].join(', ')
process.stdout.write(`${machine}\n`)

const show = (line: string): void => void process.stdout.write(`  ${line}\n`)
const onResult = (result: Result): void => show(lineOf(result))
const suites: Readonly<Record<string, (isBrief: boolean) => Promise<readonly Result[]>>> = {
  containers: containersSuite,
  mesos: mesosSuite,
  workloads: workloadsSuite,
}
const measure = async (suite: string): Promise<readonly Result[]> => {
  const isBrief = values.brief
  if (suite === 'store') {
    const wanted = only === undefined ? {} : { only }
    return storeSuite({ isBrief, ...wanted, fsyncDelayMs, say: show, onResult })
  }
  if (suite === 'docker') return dockerSuite({ isBrief, say: show, onResult })
  const results = await (suites[suite] ?? containersSuite)(isBrief)
  for (const result of results) onResult(result)
  return results
}

const reports: Report[] = []
for (const suite of positionals.length > 0 ? positionals : suiteNames) {
  process.stdout.write(`\n${suite}\n`)
  reports.push({ suite, machine, results: await measure(suite) })
}
if (values.json !== undefined) {
  const [first] = reports
  writeFileSync(values.json, `${JSON.stringify(reports.length === 1 ? first : reports, null, 2)}\n`)
}
