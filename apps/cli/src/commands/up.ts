import { enableCompileCache } from 'node:module'
import { simulatedImagesModes } from '@conclave/simulated-images/modes'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { compileCache } from '../compile-cache.ts'
import { withEngine } from '../engine-options.ts'
import type { UpOptions } from '../up.ts'

/** `conclave up`: a whole cluster here and now, for as long as this command runs. */
export function upCommand(program: Command): void {
  withEngine(program.command('up'))
    .description('start a cluster on this machine and stay until Ctrl-C')
    .option('--tour', 'show how two secrets travel, and check every claim on the way')
    .option('--once', 'take the tour, then end: exit code 0 if every claim held')
    .option('--processes', 'run each member as a process of its own (default: all in this one)')
    .option('--data [dir]', 'keep the cluster in a directory (~/.conclave/cluster unless named)')
    .option('--masters <n>', 'how many masters a new cluster has: 1, 3, 5 or 7', oddCount, 3)
    .option('--agents <n>', 'how many agents a new cluster has', anyCount, 2)
    .addOption(
      new Option(
        '--peer-wire <wire>',
        'what masters speak to each other over: tcp, or redis://host:port (with a password better in the variable)',
      )
        .env('CONCLAVE_PEER_WIRE')
        .default('tcp'),
    )
    .option(
      '--agent-setting <name=value...>',
      'of every agent, as conclave-agent --help names them, such as secret_resolver=default',
    )
    .addOption(
      new Option(
        '--simulated-images <which>',
        'which images are stand-ins of ours: known (busybox, alpine, nginx, redis, postgres, eon01/infinite), any name, or off',
      )
        .choices(simulatedImagesModes)
        .default('any'),
    )
    .option(
      '--faithful-leaks',
      'give values away wherever Mesos does, in state, logs and plain files, for lessons (never with secrets that matter)',
    )
    .option('--ready-file <file>', 'write URLs and credentials there as JSON once all is ready')
    .option('--json', 'print the same as JSON, and the tour as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave up --tour\n  conclave up --processes --data ./cluster --ready-file ready.json' +
        '\n  conclave up --processes --peer-wire redis://localhost:6379' +
        '\n  conclave up --processes --data ./cluster --engine etcd://10.0.0.1:2379,10.0.0.2:2379/conclave',
    )
    .action(async (options: UpOptions) => {
      // Only now: this loads the whole house, which no other command needs.
      enableCompileCache(compileCache)
      const { up } = await import('../up.ts')
      const code = await up(options)
      // Whoever was still asking the cluster something is not waited for.
      process.stdout.write('', () => process.exit(code))
    })
}

function anyCount(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a number from 1 to 999.')
}

function oddCount(text: string): number {
  if (/^[1357]$/.test(text)) return Number(text)
  throw new InvalidArgumentError(
    'It must be 1, 3, 5 or 7: with an even number one more gains nothing.',
  )
}
