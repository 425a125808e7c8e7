import type { WorkloadTaskView, WorkloadView } from '@conclave/actors'
import type { Command } from 'commander'
import { settle } from '../app-progress.ts'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { CommandFailed } from '../failure.ts'
import { readInput } from '../input.ts'
import { age, print, printable, printJson, table } from '../output.ts'

const urlOf = (idOrName: string, rest = ''): string =>
  `/conclave/v1/workloads/${encodeURIComponent(idOrName)}${rest}`

const examples = `
Examples (by name or id):
  conclave app create examples/workloads/web.json
  conclave app update web examples/workloads/web-rotated.json
  conclave app update web --force
  conclave app scale web 5
  conclave app ps web
  conclave app create examples/workloads/migrate.json   a job: runs to its end
  conclave app rollback web
  conclave app rm web`

interface Shown {
  readonly detach?: boolean
  readonly json?: boolean
}

interface Change extends Shown {
  readonly ifVersion?: string
}

/** `conclave app …`: what shall be kept running. */
export function appCommands(program: Command, client: () => Client): void {
  const app = groupOf(
    program,
    'app',
    'keep tasks running, or run jobs: instances, updates, rollbacks',
  )
  app.addHelpText('after', examples)

  changing(
    app
      .command('create')
      .argument('<file>', 'a spec as JSON ("-" for standard input); see examples/workloads')
      .description('keep a workload running; run a job until it has ended well'),
    '\nExample:\n  conclave app create examples/workloads/web.json',
  ).action(async (file: string, options: Shown) => {
    const spec = await readSpec(file)
    const talk = client()
    const view = await talk.json<WorkloadView>('conclave', 'POST', '/conclave/v1/workloads', spec)
    await finish(talk, view, options)
  })

  changing(
    app
      .command('update')
      .argument('<app>', 'its name or id')
      .argument('[file]', 'the whole new spec as JSON ("-" for standard input)')
      .description(
        'change a workload; its tasks are replaced as spec.update says, a job is run anew',
      )
      .option(
        '--force',
        'replace all tasks, or run a job anew, with the spec that is there unless one is given',
      )
      .option('--if-version <n>', 'only if this is the current version'),
    '\nExamples:\n  conclave app update web examples/workloads/web-rotated.json\n  conclave app update web --force',
  ).action(
    async (name: string, file: string | undefined, options: Change & { force?: boolean }) => {
      const talk = client()
      if (file === undefined && options.force !== true) {
        throw new CommandFailed('usage', 'give a file with the new spec, or --force')
      }
      const known = await talk.json<WorkloadView>('conclave', 'GET', urlOf(name))
      const given = file === undefined ? known.spec : await readSpec(file)
      const forced = { ...given, forceUpdate: known.spec.forceUpdate + 1 }
      const spec = options.force === true ? forced : given
      // Made from what was just read, if nothing else was said.
      const version = options.ifVersion ?? (file === undefined ? `${known.version}` : undefined)
      const path = urlOf(name, versionQuery(version))
      await finish(talk, await talk.json<WorkloadView>('conclave', 'PUT', path, spec), options)
    },
  )

  changing(
    app
      .command('scale')
      .argument('<app>', 'its name or id')
      .argument('<replicas>', 'how many shall run; of a job, how often it shall end well')
      .description('run another number of instances')
      .option('--if-version <n>', 'only if this is the current version'),
    '\nExample:\n  conclave app scale web 5',
  ).action(async (name: string, replicas: string, options: Change) => {
    const talk = client()
    const query = versionQuery(options.ifVersion).replace('?', '&')
    const path = urlOf(name, `/scale?replicas=${encodeURIComponent(replicas)}${query}`)
    await finish(talk, await talk.json<WorkloadView>('conclave', 'POST', path), options)
  })

  changing(
    app
      .command('rollback')
      .argument('<app>', 'its name or id')
      .description('go back to the spec before the latest change; a job is run anew')
      .option('--if-version <n>', 'only if this is the current version'),
    '\nExample:\n  conclave app rollback web',
  ).action(async (name: string, options: Change) => {
    const talk = client()
    const path = urlOf(name, `/rollback${versionQuery(options.ifVersion)}`)
    await finish(talk, await talk.json<WorkloadView>('conclave', 'POST', path), options)
  })

  app
    .command('ls')
    .description('list what is kept running')
    .option('--json', 'print it as JSON')
    .action(async (options: Shown) => {
      const { workloads } = await client().json<{ workloads: WorkloadView[] }>(
        'conclave',
        'GET',
        '/conclave/v1/workloads',
      )
      if (options.json === true) return printJson(workloads)
      const rows = workloads.map((view) => [
        printable(view.name),
        view.spec.mode.kind,
        runningOf(view),
        view.job === undefined ? (view.update?.state ?? '-') : '-',
        view.owner,
        age(view.createdAtMs, Date.now()),
      ])
      print(table(['APP', 'MODE', 'RUNNING', 'UPDATE', 'OWNER', 'AGE'], rows))
    })

  app
    .command('ps')
    .argument('<app>', 'its name or id')
    .description('list the tasks of a workload, ended ones that are remembered among them')
    .option('--json', 'print it as JSON')
    .action(async (name: string, options: Shown) => {
      const path = urlOf(name, '/tasks')
      const { tasks } = await client().json<{ tasks: WorkloadTaskView[] }>('conclave', 'GET', path)
      if (options.json === true) return printJson(tasks)
      const rows = tasks.map((task) => [
        task.taskId,
        task.nodeName ?? '-',
        `v${task.templateVersion}`,
        task.desired,
        `${task.state} ${age(task.stateAtMs, Date.now())} ago`,
        printable(task.message ?? ''),
      ])
      print(table(['TASK', 'NODE', 'TEMPLATE', 'DESIRED', 'STATE', 'MESSAGE'], rows))
    })

  app
    .command('inspect')
    .argument('<app>', 'its name or id')
    .description('print a workload with its whole spec, the one before, and how its update goes')
    .option('--json', 'the same (it is always JSON)')
    .action(async (name: string) => {
      printJson(await client().json<WorkloadView>('conclave', 'GET', urlOf(name)))
    })

  app
    .command('rm')
    .argument('<app...>', 'their names or ids')
    .description('end workloads; they are gone at once, and their tasks end')
    .action(async (names: string[]) => {
      const talk = client()
      for (const name of names) {
        await talk.json('conclave', 'DELETE', urlOf(name))
        print(`${printable(name)}\n`)
      }
    })
}

function runningOf({ counts, job }: WorkloadView): string {
  const running = `${counts.running}/${counts.desired}`
  return job === undefined ? running : `${running} (${job.completed}/${job.total} completed)`
}

/** What all commands have in common that wait until it is as they want it. */
const changing = (command: Command, help: string): Command =>
  command
    .option('-d, --detach', 'do not wait until all runs, or a job has ended')
    .option('--json', 'print the workload as JSON at the end')
    .addHelpText('after', help)

const versionQuery = (version: string | undefined): string =>
  version === undefined ? '' : `?version=${encodeURIComponent(version)}`

/** Shows how it goes, and ends with 1 when it did not come to what was asked for. */
async function finish(client: Client, view: WorkloadView, options: Shown): Promise<void> {
  const end =
    options.detach === true ? { view, isAsWanted: true } : await settle(client, view, printLine)
  if (options.json === true) printJson(end.view)
  else print(`${end.view.id}\n`)
  if (!end.isAsWanted) process.exitCode = 1
}

const printLine = (line: string): void => {
  process.stderr.write(`${printable(line)}\n`)
}

async function readSpec(file: string): Promise<object> {
  const text = (await readInput(file)).toString('utf8')
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json === 'object' && json !== null) return json
  } catch {
    // Said below, without what could not be read.
  }
  throw new CommandFailed('usage', `${file} is no JSON object; see examples/workloads for specs`)
}
