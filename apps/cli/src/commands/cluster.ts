import type { AgentView } from '@conclave/actors'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { followEvents } from '../follow-events.ts'
import { age, dim, print, printable, printJson, table } from '../output.ts'

/** `conclave agent|events|state`: what the cluster is made of and what happens in it. */
export function clusterCommands(program: Command, client: () => Client): void {
  groupOf(program, 'agent', 'look at the agents')
    .command('ls')
    .description('list agents and what they have to offer')
    .option('--json', 'print it as JSON')
    .action(async (options: { json?: boolean }) => {
      const { agents } = await client().json<{ agents: AgentView[] }>(
        'conclave',
        'GET',
        '/conclave/v1/agents',
      )
      if (options.json === true) return printJson(agents)
      const rows = agents.map((agent) => [
        agent.agentId,
        printable(agent.hostname),
        agent.isActive ? 'active' : 'disconnected',
        agent.runtime,
        `${agent.tasks}`,
        Object.entries(agent.resources)
          .map(([name, { total, used }]) => `${name} ${used}/${total}`)
          .join(', '),
        age(agent.registeredAtMs, Date.now()),
      ])
      print(table(['AGENT', 'HOST', 'STATE', 'RUNTIME', 'TASKS', 'RESOURCES', 'AGE'], rows))
    })

  program
    .command('events')
    .description('print events as they happen, until Ctrl-C')
    .option('--after <id>', "begin after this event of its master's, if that still remembers it")
    .option('--json', 'one JSON document a line')
    .addHelpText('after', '\nExample:\n  conclave events --json | grep secret')
    .action(async (options: { after?: string; json?: boolean }) => {
      const talk = client()
      // Whether anybody is there at all is said at once.
      await talk.json('conclave', 'GET', '/conclave/v1/masters')
      await followEvents(talk, {
        ...(options.after !== undefined && { after: options.after }),
        signal: new AbortController().signal,
        failuresMax: 50,
        onEvent: ({ data }) => {
          const text = options.json === true ? data : eventLine(JSON.parse(data) as EventShown)
          print(`${text}\n`)
        },
      })
    })

  program
    .command('state')
    .description("print the cluster's state as Mesos' GET_STATE shows it")
    .option('--json', 'the same (it is always JSON)')
    .action(async () => {
      printJson(await client().json('mesos', 'POST', '/api/v1', { type: 'GET_STATE' }))
    })
}

interface EventShown {
  readonly id: string
  readonly atMs: number
  readonly source: string
  readonly type: string
  readonly cause?: string
}

function eventLine({ id: _id, atMs, source, type, cause: _cause, ...fields }: EventShown): string {
  const time = new Date(atMs).toISOString().slice(11, 23)
  const said = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${printable(String(value))}`)
    .join(' ')
  return `${dim(time)} ${source.padEnd(10)} ${type.padEnd(22)} ${said}`
}
