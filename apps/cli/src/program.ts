import tab from '@bomb.sh/tab/commander'
import { Command } from 'commander'
import { Client } from './client.ts'
import { appCommands } from './commands/app.ts'
import { authorityCommands } from './commands/authority.ts'
import { clusterCommands } from './commands/cluster.ts'
import { dockerCommands } from './commands/docker.ts'
import { engineCommand } from './commands/engine.ts'
import { masterCommands } from './commands/master.ts'
import { nodeCommands } from './commands/node.ts'
import { registryCommand } from './commands/registry.ts'
import { lockCommands } from './commands/lock.ts'
import { runCommand } from './commands/run.ts'
import { secretCommands } from './commands/secret.ts'
import { storeCommands } from './commands/store.ts'
import { taskCommands } from './commands/task.ts'
import { upCommand } from './commands/up.ts'
import manifest from '../package.json' with { type: 'json' }

const client = (): Client => new Client()

/** The whole command line. A client is made when a command needs one, so that help needs no cluster. */
export function conclave(): Command {
  const program = new Command('conclave')
    .description('a whole secret-carrying cluster on one laptop')
    .version(manifest.version, '-V, --version', 'print the version')
    .exitOverride()
    // `secret get --version 3` is about the secret.
    .enablePositionalOptions()
    .showHelpAfterError('(conclave --help shows what there is)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', help)

  upCommand(program)
  runCommand(program, client)
  appCommands(program, client)
  secretCommands(program, client)
  taskCommands(program, client)
  storeCommands(program, client)
  clusterCommands(program, client)
  nodeCommands(program, client)
  masterCommands(program, client)
  engineCommand(program)
  dockerCommands(program)
  authorityCommands(program, client)
  registryCommand(program)
  lockCommands(program, client)
  for (const command of allBelow(program)) command.exitOverride()
  tab(program)
  return program
}

function* allBelow(command: Command): Generator<Command> {
  for (const below of command.commands) {
    yield below
    yield* allBelow(below)
  }
}

const help = `
Examples:
  conclave up                                  start a cluster and stay
  printf s3cr3t | conclave secret put dev/db   store a secret
  conclave run examples/tasks/env-secret.json  run a task that is given one
  conclave app create examples/workloads/web.json  keep three of one running
  conclave events                              watch it travel

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 unavailable, 6 conflict;
run, task exec and task logs --follow end with the task's own.

Completion: source <(conclave complete bash); zsh, fish and powershell have theirs, too.`
