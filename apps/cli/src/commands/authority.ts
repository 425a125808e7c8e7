import type { AuthorityStatus } from '@conclave/actors'

import { Argument, InvalidArgumentError, type Command } from 'commander'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { CommandFailed } from '../failure.ts'
import { readJoinToken, type JoinTokenOptions } from '../join-token-input.ts'
import { age, bold, print, printJson, table } from '../output.ts'

const roleArgument = (): Argument =>
  new Argument('<role>', 'what one joins as').choices(['master', 'agent'])

/** `conclave cluster join-token|ca` and `conclave agent join|rm`: who may be a member, and how one becomes it. */
export function authorityCommands(program: Command, client: () => Client): void {
  const cluster = groupOf(program, 'cluster', 'look after the cluster as a whole')
  cluster
    .command('join-token')
    .addArgument(roleArgument())
    .description('show the token that a master or an agent joins with')
    .option('--rotate', 'draw another: the one before counts no more')
    .option('-q, --quiet', 'print the token alone')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave cluster join-token agent\n  conclave cluster join-token master --quiet > token',
    )
    .action((wanted: string, options: TokenOptions) => showToken(client(), wanted, options))

  cluster
    .command('ca')
    .description("show the root of the cluster's authority, or replace it")
    .option('--rotate', 'replace it by a new one; members go on meanwhile, and join tokens change')
    .option('-d, --detach', 'do not wait until everybody has a certificate of the new one')
    .option(
      '--validity <time>',
      'how long certificates count from now on, such as 90d or 12h',
      timeMs,
    )
    .option('-q, --quiet', 'print the root alone')
    .option('--json', 'print what is known of the authority and of who holds certificates')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave cluster ca > ca.pem\n  conclave cluster ca --rotate\n  conclave cluster ca --validity 720h --json',
    )
    .action((options: CaOptions) => showAuthority(client(), options))

  const agent = groupOf(program, 'agent', 'look at the agents')
  agent
    .command('join')
    .description('become an agent of a cluster and stay until Ctrl-C')
    .requiredOption('--data <dir>', 'where it keeps its certificate; the next start needs no token')
    .option('--address <host:port>', "a master's join port (conclave cluster join-token says it)")
    .option('--token-file <file>', 'read the token from a file, or from standard input for -')
    .option('--token <token>', 'the token itself: every user of this machine can see it')
    .option('--hostname <name>', "the host name that frameworks are shown; else the agent's name")
    .option(
      '--agent-setting <name=value...>',
      'as conclave-agent --help names them, such as secret_resolver=default',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  conclave agent join --data ./agent --address 10.0.0.1:12003 --token-file token' +
        '\n  conclave agent join --data ./agent' +
        '\n  conclave agent join --data ./second --agent-setting port=0    # another one here: any free port',
    )
    .action(async (options: JoinOptions) => {
      const { joinAsAgent } = await import('../join-agent.ts')
      const code = await joinAsAgent({
        directory: options.data,
        address: options.address === undefined ? undefined : addressOf(options.address),
        token: await readJoinToken(options),
        hostname: options.hostname,
        settings: options.agentSetting ?? [],
      })
      process.exit(code)
    })
  agent
    .command('rm')
    .argument('<name>', 'the name in its certificate, as conclave cluster ca --json lists it')
    .description('remove an agent: its certificate counts no more, and what it runs ends')
    .addHelpText('after', '\nExample:\n  conclave agent rm agent-2')
    .action(async (name: string) => {
      const path = `/conclave/v1/authority/holders/agent/${encodeURIComponent(name)}`
      await client().bytes({ face: 'conclave', method: 'DELETE', path })
      print(`Agent ${name} removed.\n`)
    })
}

interface TokenOptions {
  readonly rotate?: boolean
  readonly quiet?: boolean
}

async function showToken(client: Client, role: string, options: TokenOptions): Promise<void> {
  const path = `/conclave/v1/authority/tokens/${role}`
  const { body } = await client.bytes(
    options.rotate === true
      ? { face: 'conclave', method: 'POST', path: `${path}/rotate` }
      : { face: 'conclave', method: 'GET', path },
  )
  if (options.quiet !== true) {
    const { members } = await client.status()
    const [at] = members.flatMap(({ listeners }) => listeners['join'] ?? [])
    const address = at === undefined ? 'HOST:PORT' : `${at.host}:${at.port}`
    if (options.rotate === true) print(`The ${role} token was replaced.\n\n`)
    print(`To join as ${role}, keep the token in a file and say there:\n\n`)
    print(`    conclave ${role} join --data DIR --address ${address} --token-file FILE\n\n`)
  }
  process.stdout.write(body)
  print('\n')
}

interface CaOptions {
  readonly rotate?: boolean
  readonly detach?: boolean
  readonly validity?: number
  readonly quiet?: boolean
  readonly json?: boolean
}

async function showAuthority(client: Client, options: CaOptions): Promise<void> {
  const { rotate, detach, validity, quiet, json } = options
  if (validity !== undefined) {
    await client.json('conclave', 'PUT', '/conclave/v1/authority/validity', {
      validityMs: validity,
    })
  }
  let status: AuthorityStatus = rotate === true ? await begin(client) : await statusOf(client)
  if (rotate === true) {
    const isLoud = quiet !== true && json !== true
    if (isLoud) print(`desired root digest: ${status.rotation?.root ?? status.root}\n`)
    if (detach === true && json !== true) return
    if (detach !== true) status = await untilReplaced(client, status, isLoud)
  }
  if (json === true) return printJson(status)
  print(status.rootPem)
  if (quiet === true || rotate === true) return
  const nowMs = Date.now()
  const rows = status.holders.map(({ role, id, isCurrent, untilMs }) => [
    role,
    id,
    isCurrent ? 'current' : 'old',
    untilMs === undefined ? 'not seen yet' : `in ${age(nowMs, untilMs)}`,
  ])
  process.stderr.write(`\n${bold(status.root)}\n`)
  process.stderr.write(table(['ROLE', 'NAME', 'ROOT', 'ENDS'], rows))
}

const statusOf = (client: Client): Promise<AuthorityStatus> =>
  client.json('conclave', 'GET', '/conclave/v1/authority')

const begin = (client: Client): Promise<AuthorityStatus> =>
  client.json('conclave', 'POST', '/conclave/v1/authority/rotate')

/** Says who is waited for whenever that changes. */
async function untilReplaced(
  client: Client,
  begun: AuthorityStatus,
  isLoud: boolean,
): Promise<AuthorityStatus> {
  let told = ''
  for (let status = begun; ; status = await statusOf(client)) {
    if (status.rotation === undefined) return status
    const waiting = status.rotation.waitingFor.join(', ')
    if (isLoud && waiting !== told && waiting !== '') {
      process.stderr.write(`waiting for ${waiting}\n`)
    }
    told = waiting
    await new Promise((resolve) => {
      setTimeout(resolve, 250)
    })
  }
}

interface JoinOptions extends JoinTokenOptions {
  readonly data: string
  readonly address?: string
  readonly hostname?: string
  readonly agentSetting?: readonly string[]
}

function addressOf(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text) ?? []
  if (host !== '' && Number(port) > 0 && Number(port) < 65_536) return { host, port: Number(port) }
  throw new CommandFailed('usage', `--address: ${text} is not of the form host:port`)
}

function timeMs(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,5})([hd])$/.exec(text) ?? []
  if (count === '') throw new InvalidArgumentError('It must be hours or days, such as 12h or 90d.')
  return Number(count) * (unit === 'h' ? 3_600_000 : 86_400_000)
}
