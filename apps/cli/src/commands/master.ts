import { isIPv6 } from 'node:net'
import type { MemberView } from '@conclave/actors'
import { InvalidArgumentError, type Command } from 'commander'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { withEngine, type EngineOptions } from '../engine-options.ts'
import { CommandFailed } from '../failure.ts'
import { readJoinToken, type JoinTokenOptions } from '../join-token-input.ts'
import { everyMaster, learnMasters, membersOf, type MasterListed } from '../master-list.ts'
import { advise, print, printJson, table } from '../output.ts'

/** `conclave master …`: who the masters are, and how one becomes, stays or ceases to be one. */
export function masterCommands(program: Command, client: () => Client): void {
  const group = groupOf(program, 'master', 'look at the masters, and change who they are')

  group
    .command('ls')
    .description('list masters, their roles, whether they answer and how far they lag behind')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExamples:\n  conclave master ls\n  conclave master ls --json')
    .action(async (options: { json?: boolean }) => {
      const masters = await everyMaster(client())
      if (options.json === true) return printJson(masters)
      print(table(head, masters.map(row)))
      const isAny = (wanted: MasterListed['role']): boolean =>
        masters.some(({ role }) => role === wanted)
      if (isAny('locked')) {
        advise('a locked master waits for the unlock key: conclave cluster unlock')
      }
      if (!isAny('leader')) {
        advise('nobody leads: more than half of the masters have to run and be unlocked')
      }
    })

  withEngine(group.command('join'))
    .description('run a master here: it joins with a token, or goes on where it was')
    .requiredOption('--data <dir>', 'where it keeps everything; the next start needs no token')
    .option('--address <host:port>', "a master's join port", addressIn)
    .option('--token-file <file>', 'read the token from a file, or from standard input for -')
    .option('--token <token>', 'the token itself: every user of this machine can see it')
    .option('--host <address>', 'where the other masters reach this one', '127.0.0.1')
    .option('--learner', 'only learn, until somebody promotes it')
    .option('--plain-http', 'let its faces listen beyond this machine without TLS')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave master join --data ./master-4 --address 127.0.0.1:12003 --token-file token' +
        '\n  conclave master join --data ./master-4',
    )
    .action(async (options: JoinOptions) => {
      // Only now: this loads all that a master is made of, which no other command needs.
      const { joinAsMaster } = await import('../join-master.ts')
      const code = await joinAsMaster({
        directory: options.data,
        address: options.address,
        token: await readJoinToken(options),
        host: options.host,
        isLearner: options.learner === true,
        plainHttp: options.plainHttp === true,
        engine: options,
      })
      process.stdout.write('', () => process.exit(code))
    })

  group
    .command('begin-anew')
    .description(
      'go on with one master whose others are lost for good, as if it had always been alone',
    )
    .requiredOption('--data <dir>', 'the directory of that master, which must not be running')
    .option('-f, --force', 'yes: no other master of this cluster will ever run again')
    .addHelpText(
      'after',
      `
Only when more than half of the masters will never come back; otherwise they lead on, and conclave master rm removes
the others. At its next start, however it is started, this master takes all of its log for agreed, removes every other
master for good and is the only one. Then let others join anew, with empty directories.

What can go wrong: what only the lost masters had is lost. Masters that still run elsewhere, or are started again
and are more than half, go on as a second cluster with the same name and the same secrets: no command brings the
two together. This one listens to none of them, and tells who asks that it was removed.

Example:
  conclave master begin-anew --data ./master-4 --force`,
    )
    .action(async ({ data, force = false }: { data: string; force?: boolean }) => {
      if (!force) {
        throw new CommandFailed(
          'usage',
          'every other master is removed for good: read conclave master begin-anew --help, then give --force',
        )
      }
      const { wishToBeginAnew } = await import('@conclave/assembly')
      const id = await wishToBeginAnew(data)
      print(`Master ${id} begins anew without the others when it starts next.\n`)
    })

  group
    .command('promote')
    .argument('<master>', 'its id')
    .description('let a learner vote')
    .addHelpText('after', '\nExample:\n  conclave master promote master-4')
    .action(async (id: string) => {
      await client().json('conclave', 'POST', `${placeOf(id)}/promote`)
      print(`Master ${id} promoted: it votes.\n`)
    })

  group
    .command('demote')
    .argument('<master>', 'its id')
    .description('let a voter learn only; a leader hands leadership on first')
    .addHelpText('after', '\nExample:\n  conclave master demote master-1')
    .action(async (id: string) => {
      await changed(client(), 'POST', `${placeOf(id)}/demote`, demoted(id))
      print(`Master ${id} demoted: it learns.\n`)
    })

  group
    .command('leave')
    .argument('<master>', 'its id')
    .description('demote it if need be and remove it for good; its process then ends')
    .addHelpText('after', '\nExample:\n  conclave master leave master-4')
    .action(async (id: string) => {
      const talk = client()
      await changed(talk, 'POST', `${placeOf(id)}/leave`, gone(id))
      await learnMasters(talk)
      print(`Master ${id} left the cluster.\n`)
    })

  group
    .command('rm')
    .argument('<master>', 'its id')
    .description('remove a master that was demoted and is down; its id is never used again')
    .option('-f, --force', 'also one that answers, or a voter that does not')
    .addHelpText('after', '\nExample:\n  conclave master rm --force master-2')
    .action(async (id: string, { force = false }: { force?: boolean }) => {
      const talk = client()
      await talk.bytes({
        face: 'conclave',
        method: 'DELETE',
        path: `${placeOf(id)}${force ? '?force=true' : ''}`,
      })
      await learnMasters(talk)
      print(`Master ${id} removed.\n`)
    })
}

const placeOf = (id: string): string => `/conclave/v1/masters/${encodeURIComponent(id)}`

type Done = (members: readonly MemberView[]) => boolean

const gone =
  (id: string): Done =>
  (members) =>
    members.every(({ masterId }) => masterId !== id)
const demoted =
  (id: string): Done =>
  (members) =>
    members.some(({ masterId, role }) => masterId === id && role === 'learner')

const triesMax = 20
const pauseMs = 250

/**
 * A leader that goes hands leadership on, and the next one brings it about: whoever asked may find nobody
 * leading for a moment, and asks again. @throws CommandFailed
 */
async function changed(client: Client, method: string, path: string, isDone: Done): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await client.bytes({ face: 'conclave', method, path })
      return
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error
      const members = tries > 1 ? await membersOf(client).catch(() => undefined) : undefined
      if (members !== undefined && isDone(members)) return
      if (error.failure !== 'unavailable' || tries === triesMax) throw error
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs)
      })
    }
  }
}

const head = ['MASTER', 'ROLE', 'TERM', 'APPLIED', 'REVISION', 'REACHABLE', 'LAG'] as const

const row = ({
  masterId,
  role,
  term,
  appliedIndex,
  revision,
  isReachable,
  lag,
}: MasterListed): string[] =>
  [masterId, role, term, appliedIndex, revision, yesOrNo(isReachable), lag].map(
    (cell) => `${cell ?? ''}`,
  )

const yesOrNo = (is: boolean | undefined): string | undefined =>
  is === undefined ? undefined : is ? 'yes' : 'no'

interface JoinOptions extends EngineOptions, JoinTokenOptions {
  readonly data: string
  readonly address?: { readonly host: string; readonly port: number }
  readonly host: string
  readonly learner?: boolean
  readonly plainHttp?: boolean
}

function addressIn(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':')
  const port = Number(text.slice(at + 1))
  const host = text.slice(0, Math.max(0, at)).replace(/^\[(.*)\]$/, '$1')
  const isHost = isIPv6(host) || /^[\w.-]+$/.test(host)
  if (isHost && Number.isInteger(port) && port > 0 && port < 65_536) return { host, port }
  throw new InvalidArgumentError('It must be host:port, such as 127.0.0.1:12003.')
}
