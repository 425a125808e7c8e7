import type { TaskView } from '@conclave/actors'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { age, print, printable, printJson, table } from '../output.ts'
import { copyOutput } from './session.ts'

const urlOf = (id: string, rest = ''): string =>
  `/conclave/v1/tasks/${encodeURIComponent(id)}${rest}`

const examples = `
Examples (an unambiguous beginning of a task's id will do):
  conclave task ls
  conclave task logs --follow web.1
  conclave task exec web.1 -- cat keys/keystore
  echo hello | conclave task exec -i web.1 -- sh -c 'cat > file'
  conclave task kill web.1`

/** `conclave task …`: look at tasks and into them. */
export function taskCommands(program: Command, client: () => Client): void {
  const task = program
    .command('task')
    .description('list tasks, and look into them')
    .addHelpText('after', examples)

  task
    .command('ls')
    .description('list tasks, newest first')
    .option('--json', 'print it as JSON')
    .action(async (options: { json?: boolean }) => {
      const { tasks } = await client().json<{ tasks: TaskView[] }>(
        'conclave',
        'GET',
        '/conclave/v1/tasks',
      )
      if (options.json === true) return printJson(tasks)
      const newestFirst = tasks.toSorted((a, b) => b.updatedAtMs - a.updatedAtMs)
      const rows = newestFirst.map((shown) => [
        shown.taskId,
        printable(shown.name),
        shown.state,
        shown.agentId,
        `${age(shown.updatedAtMs, Date.now())} ago`,
        printable(shown.message ?? ''),
      ])
      print(table(['TASK', 'NAME', 'STATE', 'AGENT', 'UPDATED', 'MESSAGE'], rows))
    })

  task
    .command('logs')
    .argument('<task>', 'its id, or an unambiguous beginning of it')
    .description('print what a task wrote; its standard error goes to standard error')
    .option('-f, --follow', 'go on until the task ends')
    .option('--json', 'print the lines of the stream as they come: {"stream","data"} with base64')
    .action(async (id: string, options: { follow?: boolean; json?: boolean }) => {
      const path = urlOf(id, `/logs?follow=${options.follow === true}`)
      const stream = await client().stream({ face: 'conclave', method: 'GET', path })
      if (options.json === true) {
        for await (const chunk of stream.body) process.stdout.write(chunk)
        return
      }
      const code = await copyOutput(stream)
      if (options.follow === true) process.exitCode = code
    })

  task
    .command('exec')
    .argument('<task>', 'its id, or an unambiguous beginning of it')
    .argument('<program...>', 'the program and its arguments, after --')
    .description('run a program inside a running container; its exit code is passed on')
    .option('-i, --stdin', 'pass standard input on')
    .option('--json', 'print the lines of the stream as they come')
    .addHelpText('after', '\nExample:\n  conclave task exec web.1 -- cat keys/keystore')
    .action(async (id: string, argv: string[], options: { stdin?: boolean; json?: boolean }) => {
      const leader = await client().leading()
      const stream = await leader.stream({
        face: 'conclave',
        method: 'POST',
        path: urlOf(id, '/exec'),
        headers: { 'content-type': 'application/x-ndjson' },
        body: execBody(argv, options.stdin === true),
      })
      if (options.json === true) {
        for await (const chunk of stream.body) process.stdout.write(chunk)
        return
      }
      process.exitCode = await copyOutput(stream)
    })

  task
    .command('kill')
    .argument('<task>', 'its id, or an unambiguous beginning of it')
    .description('end a task: SIGTERM, then SIGKILL after its grace period')
    .option('--json', 'print it as JSON')
    .action(async (id: string, options: { json?: boolean }) => {
      const killed = await client().json<TaskView>('conclave', 'POST', urlOf(id, '/kill'))
      if (options.json === true) printJson(killed)
    })
}

const line = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`)

async function* execBody(argv: readonly string[], withInput: boolean): AsyncGenerator<Uint8Array> {
  yield line({ argv })
  if (withInput) {
    for await (const chunk of process.stdin) {
      yield line({ data: Buffer.from(chunk as Uint8Array).toString('base64') })
    }
  }
  yield line({ eof: true })
}
