import type { NodeView } from '@conclave/actors'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { CommandFailed } from '../failure.ts'
import { age, print, printable, printJson, table } from '../output.ts'

const urlOf = (name: string, rest = ''): string =>
  `/conclave/v1/nodes/${encodeURIComponent(name)}${rest}`

interface UpdateOptions {
  readonly availability?: string
  readonly role?: string
  readonly label?: readonly string[]
  readonly removeLabel?: readonly string[]
  readonly json?: boolean
}

/** `conclave node …`: agents as places for tasks. */
export function nodeCommands(program: Command, client: () => Client): void {
  const node = groupOf(program, 'node', 'say which agents may have tasks of apps, and which not')
  node.addHelpText(
    'after',
    '\nExamples:\n  conclave node ls\n  conclave node update agent-1 --availability drain\n  conclave node update agent-1 --label zone=a',
  )

  node
    .command('ls')
    .description('list agents by name, with what was said of them')
    .option('--json', 'print it as JSON')
    .action(async (options: { json?: boolean }) => {
      const { nodes } = await client().json<{ nodes: NodeView[] }>(
        'conclave',
        'GET',
        '/conclave/v1/nodes',
      )
      if (options.json === true) return printJson(nodes)
      const rows = nodes.map((one) => [
        one.name,
        printable(one.hostname),
        one.state,
        one.availability,
        one.role,
        `${one.tasks}`,
        age(one.registeredAtMs, Date.now()),
        Object.entries(one.labels)
          .map(([key, value]) => printable(`${key}=${value}`))
          .join(', '),
      ])
      print(
        table(['NODE', 'HOST', 'STATE', 'AVAILABILITY', 'ROLE', 'TASKS', 'AGE', 'LABELS'], rows),
      )
    })

  node
    .command('update')
    .argument('<node>', 'its name, or the id of its agent')
    .description('drain it, pause it, or say what it is')
    .option('--availability <state>', 'active, pause (nothing new) or drain (nothing at all)')
    .option('--role <role>', 'worker or manager, as constraints know it')
    .option('--label <name=value...>', 'add or change a label')
    .option('--remove-label <name...>', 'take a label away')
    .option('--json', 'print the node as JSON')
    .addHelpText('after', '\nExample:\n  conclave node update agent-1 --availability drain')
    .action(async (name: string, options: UpdateOptions) => {
      const talk = client()
      const known = await talk.json<NodeView>('conclave', 'GET', urlOf(name))
      const path = urlOf(known.name, `?version=${known.version}`)
      const change = changeOf(options, known)
      const changed = await talk.json<NodeView>('conclave', 'PATCH', path, change)
      if (options.json === true) printJson(changed)
      else print(`${changed.name}\n`)
    })
}

function changeOf(options: UpdateOptions, known: NodeView): Record<string, unknown> {
  const { availability, role, label = [], removeLabel = [] } = options
  const labels: Record<string, string> = { ...known.labels }
  for (const text of label) {
    const at = text.indexOf('=')
    if (at < 1) throw new CommandFailed('usage', `--label ${text}: expected name=value`)
    labels[text.slice(0, at)] = text.slice(at + 1)
  }
  for (const name of removeLabel) delete labels[name]
  return {
    ...(availability === undefined ? {} : { availability }),
    ...(role === undefined ? {} : { role }),
    labels,
  }
}
