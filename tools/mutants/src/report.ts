import { netNames, type Catch, type NetName } from './nets.ts'
import type { Mutant } from './table.ts'

export interface Result {
  readonly mutant: Mutant
  readonly catches: Readonly<Partial<Record<NetName, Catch>>>
}

const head = `# Mutants

Tests are believed because they fail. Each line of this table is one wrong line in the core, the replica, the journal or the
store, and says which net noticed it, how soon, and by what: our histories and the data-driven tests of etcd-io/raft
(\`npm run corpus\`), the simulation (\`npm run simulate\`), or the tests of the room that the line is in. Written by \`npm run mutants -- --write\` on a busy
machine with two cores; for the simulation, seconds are of processor time, and seeds go through all profiles in turn. An empty
cell was not tried.

The simulation sees what whole members do. They change one member at a time there, and write their log the simple way, so mistakes
in joint configurations and in asynchronous writes are for the other nets; some mistakes only cost time (\`no-check-quorum\`, \`leader-not-protected\`,
\`rehearsal-raises-term\`, \`transfer-to-anybody\`), and two are caught by the next line of defence before they do harm
(\`term-of-snapshot-forgotten\`: who is sent a snapshot has answered in its term before, and has written it down before it
answered; the journal promises it all the same. \`snapshot-mislabelled\`: who sends a snapshot says what the file on its disk says).
Those are the business of the room's own tests.
`

/** The whole table as a document. */
export function describeResults(results: readonly Result[]): string {
  const rows = results.map(({ mutant, catches }) => {
    const cells = netNames.map((net) => cell(catches[net]))
    return `| \`${mutant.name}\` | ${mutant.breaks} | ${cells.join(' | ')} |`
  })
  const counts = netNames.map((net) => {
    const tried = results.filter(({ catches }) => catches[net] !== undefined)
    const caught = tried.filter(({ catches }) => catches[net]?.isCaught)
    return `${net} ${caught.length} of ${tried.length}`
  })
  const alive = results.filter(({ catches }) =>
    netNames.every((net) => catches[net]?.isCaught !== true),
  )
  return [
    head,
    `${results.length} mutants, ${alive.length} alive. Caught: ${counts.join(', ')}.`,
    `By neither corpus nor simulation: ${unitOnly(results).join(', ') || 'none'}.`,
    '',
    `| mutant | what goes wrong | ${netNames.join(' | ')} |`,
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

const unitOnly = (results: readonly Result[]): readonly string[] =>
  results
    .filter(({ catches: { corpus, simulation } }) => !corpus?.isCaught && !simulation?.isCaught)
    .map(({ mutant }) => `\`${mutant.name}\``)

function cell(caught: Catch | undefined): string {
  if (caught === undefined) return ''
  const by = caught.by.replaceAll('|', '\\|')
  return caught.isCaught
    ? `**${caught.seconds.toFixed(1)} s** ${by}`
    : by === ''
      ? 'no'
      : `no (${by})`
}
