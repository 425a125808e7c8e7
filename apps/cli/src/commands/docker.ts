import { InvalidArgumentError, type Command } from 'commander'
import { groupOf } from '../command-group.ts'
import { print, printJson } from '../output.ts'

interface CertsOptions {
  readonly data: string
  readonly host?: readonly string[]
  readonly user: string
  readonly json?: boolean
}

/** `conclave docker …`: what the docker CLI needs to be let in. */
export function dockerCommands(program: Command): void {
  groupOf(program, 'docker', 'let the docker CLI in over TLS')
    .command('certs')
    .description(
      "make an authority, a machine's certificate, and one of a client for DOCKER_CERT_PATH",
    )
    .requiredOption(
      '--data <dir>',
      'where they are written; what is there is kept, and more clients are added',
    )
    .option('--host <host...>', 'names and addresses that the docker CLI calls, beside localhost')
    .option('--user <uid>', 'whose certificate the client has: it may do what they may', uid, 'dev')
    .option('--json', 'print where they are as JSON')
    .addHelpText(
      'after',
      `
Example:
  conclave docker certs --data ./certs --host 10.0.0.1
  conclave engine --data ./one -H tcp://10.0.0.1:2376 --tlsverify \\
    --tlscacert certs/ca.pem --tlscert certs/server-cert.pem --tlskey certs/server-key.pem
  DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=certs/dev docker -H tcp://10.0.0.1:2376 info`,
    )
    .action(async ({ data, host = [], user, json }: CertsOptions) => {
      // Only now: no other command makes certificates.
      const { makeDockerCerts } = await import('../docker-certs.ts')
      const made = await makeDockerCerts({ directory: data, hosts: host, uid: user })
      if (json === true) return printJson(made)
      const { ca, cert, key } = made.server
      print(`machine: --tlsverify --tlscacert ${ca} --tlscert ${cert} --tlskey ${key}\n`)
      print(`client:  DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=${made.client}\n`)
    })
}

function uid(text: string): string {
  if (/^[\w.-]{1,64}$/.test(text) && !/^\.+$/.test(text)) return text
  throw new InvalidArgumentError('It must have 1 to 64 letters, digits, dots, _ or -.')
}
