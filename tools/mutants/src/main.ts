import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Copy } from './copy.ts'
import { cast, netNames, type Catch, type NetName } from './nets.ts'
import { describeResults, type Result } from './report.ts'
import { mutants } from './table.ts'

const root = join(import.meta.dirname, '../../..')
const usage = `npm run mutants [-- NAME…] [--nets corpus,simulation,unit] [--seconds N] [--brief] [--write]

Breaks a copy of the repository, one line at a time, and says which net notices.
  --nets     which nets are cast (all)
  --seconds  how much processor time each mutant is simulated before it is given up (10)
  --brief    runs the tests of a room only for what neither corpus nor simulation notices
  --write    writes the table to docs/mutants.md; only with all mutants and all nets`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    nets: { type: 'string', default: netNames.join() },
    seconds: { type: 'string', default: '10' },
    brief: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const known = new Set(mutants.map(({ name }) => name))
const strange = [
  ...positionals.filter((name) => !known.has(name)).map((name) => `no mutant is called ${name}`),
  ...values.nets
    .split(',')
    .filter((name) => !netNames.some((net) => net === name))
    .map((name) => `no net is called ${name}`),
  ...(/^\d+$/.test(values.seconds) ? [] : ['--seconds takes a whole number']),
  ...(values.write && (positionals.length > 0 || values.nets !== netNames.join())
    ? ['the table has all mutants and all nets']
    : []),
]
if (values.help || strange.length > 0) {
  for (const what of strange) process.stderr.write(`mutants: ${what}\n`)
  process.stdout.write(`${usage}\n`)
  process.exit(strange.length > 0 ? 2 : 0)
}

const nets = netNames.filter((net) => values.nets.split(',').includes(net))
const beside = join(root, '../shared/corpora/etcd-raft')
const corpus = existsSync(beside) ? beside : process.env['CONCLAVE_CORPUS']
const wanted = mutants.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const copy = new Copy(root)
const results: Result[] = []
try {
  for (const mutant of wanted) {
    const catches = await copy.with(mutant, async () => {
      const found: Partial<Record<NetName, Catch>> = {}
      for (const net of nets) {
        const isKnown = netNames.some((other) => found[other]?.isCaught)
        if (net === 'unit' && values.brief && isKnown) continue
        const options = { root: copy.root, corpus, simulationSeconds: Number(values.seconds) }
        const caught = await cast(net, mutant, options)
        if (caught !== undefined) found[net] = caught
      }
      return found
    })
    results.push({ mutant, catches })
    const isCaught = nets.some((net) => catches[net]?.isCaught)
    const texts = nets.flatMap((net) => {
      const caught = catches[net]
      if (caught === undefined) return []
      const seconds = caught.seconds.toFixed(1)
      return [
        caught.isCaught
          ? `${net} in ${seconds} s (${caught.by})`
          : `not ${net}${caught.by === '' ? '' : ` (${caught.by})`}`,
      ]
    })
    process.stdout.write(`${isCaught ? 'caught' : 'ALIVE '} ${mutant.name}: ${texts.join('; ')}\n`)
  }
} finally {
  copy.remove()
}
const alive = results.filter(({ catches }) => !nets.some((net) => catches[net]?.isCaught))
process.stdout.write(`${results.length} mutants, ${alive.length} alive\n`)
if (values.write) writeFileSync(join(root, 'docs/mutants.md'), describeResults(results))
process.exitCode = alive.length > 0 ? 1 : 0
