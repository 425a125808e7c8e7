import { setTimeout as sleep } from 'node:timers/promises'
import type { RunView } from '@conclave/actors'
import { eventsOf } from '@conclave/runtime'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { CommandFailed } from '../failure.ts'
import { readInput } from '../input.ts'
import { dim, print, printable, printJson } from '../output.ts'
import { copyOutput } from './session.ts'

/** `conclave run`: submits a spec and stays with its task to the end. */
export function runCommand(program: Command, client: () => Client): void {
  program
    .command('run')
    .argument('<file>', 'a task spec: TaskInfo as JSON, without agent_id ("-" for standard input)')
    .description("run a task to its end, print what it writes, and exit with its task's exit code")
    .option('-d, --detach', 'print the task id and return')
    .option('--json', 'print the run as JSON, once at the end (or at once with --detach)')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave run examples/tasks/env-secret.json\n  conclave run --detach spec.json',
    )
    .action(async (file: string, options: { detach?: boolean; json?: boolean }) => {
      const spec = await readSpec(file)
      const talk = client()
      const run = await talk.json<RunView>('conclave', 'POST', '/conclave/v1/runs', spec)
      if (options.detach === true) {
        return options.json === true ? printJson(run) : print(`${run.taskId}\n`)
      }
      sayHowToEnd(run)
      const end = await follow(talk, run, options.json !== true)
      if (options.json === true) printJson(end)
      process.exitCode = end.exitCode ?? (end.state === 'TASK_FINISHED' ? 0 : 1)
    })
}

/** Ctrl-C ends the looking on, as it does for logs: the task is the cluster's, not this terminal's. */
function sayHowToEnd({ taskId }: RunView): void {
  process.once('SIGINT', () => {
    process.stderr.write(
      `\nconclave: ${taskId} goes on; end it with: conclave task kill ${taskId}\n`,
      () => process.exit(130),
    )
  })
}

/** Shows each change of state on standard error, and the output as it comes. @returns the run at its end */
export async function follow(client: Client, run: RunView, withOutput: boolean): Promise<RunView> {
  let last = run
  let output: Promise<unknown> | undefined
  for await (const seen of changes(client, run)) {
    if (seen.state !== last.state && withOutput) {
      const why = seen.message === undefined ? '' : `: ${printable(seen.message)}`
      // Of a task that never was one there is nothing else to look at.
      const isRefused = seen.state === 'TASK_ERROR' && seen.reason !== undefined
      const reason = isRefused ? ` (${printable(seen.reason)})` : ''
      process.stderr.write(`${dim(`${seen.state}${why}${reason}`)}\n`)
    }
    last = seen
    if (
      withOutput &&
      output === undefined &&
      seen.state !== 'PENDING' &&
      seen.state !== 'TASK_STAGING'
    ) {
      output = printLogs(client, run.taskId)
    }
  }
  await output
  return last
}

/** The run after each change, over as many connections as it takes: a leader may be lost meanwhile. */
async function* changes(client: Client, run: RunView): AsyncGenerator<RunView> {
  for (let failures = 0; failures < 30; failures++) {
    try {
      const path = `/conclave/v1/runs/${encodeURIComponent(run.runId)}/watch`
      const stream = await client.stream({ face: 'conclave', method: 'GET', path })
      for await (const { data } of eventsOf(stream.body)) {
        const seen = JSON.parse(data) as RunView
        failures = 0
        yield seen
        if (seen.isTerminal) return
      }
    } catch (error) {
      if (error instanceof CommandFailed && error.failure !== 'unavailable') throw error
    }
    await sleep(200)
  }
  throw new CommandFailed(
    'unavailable',
    `lost touch with ${run.taskId}; look with: conclave task ls`,
  )
}

/** What is printed is a convenience; the run's state is what counts, so a lost stream is no failure. */
async function printLogs(client: Client, taskId: string): Promise<void> {
  try {
    const path = `/conclave/v1/tasks/${encodeURIComponent(taskId)}/logs?follow=true`
    await copyOutput(await client.stream({ face: 'conclave', method: 'GET', path }))
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
  }
}

async function readSpec(file: string): Promise<unknown> {
  const text = (await readInput(file)).toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    throw new CommandFailed('usage', `${file} is not valid JSON; see examples/tasks for specs`)
  }
}
