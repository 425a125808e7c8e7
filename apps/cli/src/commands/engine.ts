import { Option, type Command } from 'commander'
import { enableCompileCache } from 'node:module'
import { compileCache } from '../compile-cache.ts'
import type { EngineCommandOptions } from '../run-engine.ts'

/** `conclave engine`: a machine that the docker CLI takes into a swarm and out of it. */
export function engineCommand(program: Command): void {
  program
    .command('engine')
    .description('run a machine for the docker CLI: docker swarm init, join and leave work on it')
    .requiredOption(
      '--data <dir>',
      'where it keeps everything; it goes on there when it starts again',
    )
    .option(
      '-H, --host <host...>',
      'where the docker CLI finds it: unix:///path, tcp://host:port (default: docker.sock in its directory)',
    )
    .option('--tlsverify', 'speak TLS on tcp hosts, with clients that show a certificate')
    .option('--tlscacert <file>', 'trust certificates of this authority (PEM)')
    .option('--tlscert <file>', 'show this certificate (PEM)')
    .option('--tlskey <file>', 'and this is its key (PEM)')
    .option('--plain-tcp', 'let tcp hosts listen beyond this machine without TLS')
    .option('--hostname <name>', 'what the machine is called (default: its own name)')
    .option('--user <uid>', 'whose rights whoever may open its socket has', 'dev')
    .option(
      '--agent-setting <name=value...>',
      'of the agent beside it, as conclave-agent --help names them',
    )
    .addOption(
      new Option('--log-level <level>', 'how much its log says, on standard error')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addHelpText(
      'after',
      `
Examples:
  conclave engine --data ./one
  docker -H unix://$PWD/one/docker.sock swarm init
  conclave engine --data ./two          # then: docker -H … swarm join --token … HOST:PORT
  conclave docker certs --data ./certs --host 127.0.0.1
  conclave engine --data ./one -H tcp://127.0.0.1:2376 --tlsverify \\
    --tlscacert certs/ca.pem --tlscert certs/server-cert.pem --tlskey certs/server-key.pem`,
    )
    .action(async (options: EngineCommandOptions) => {
      // Only now: this loads all that a member is made of, which no other command needs.
      enableCompileCache(compileCache)
      const { runEngine } = await import('../run-engine.ts')
      const code = await runEngine(options)
      process.stdout.write('', () => process.exit(code))
    })
}
