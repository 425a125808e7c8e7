import type { LockStatus } from '@conclave/actors'
import { parseUnlockKey } from '@conclave/crypto'
import { Redacted, wipe } from '@conclave/kernel'
import { splitUnlockKey } from '@conclave/runtime'
import { InvalidArgumentError, type Command } from 'commander'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { readContext } from '../context.ts'
import { CommandFailed } from '../failure.ts'
import { advise, print, printJson, table } from '../output.ts'
import { untilRotated } from '../rotation-progress.ts'
import { readUnlockKey } from '../unlock-input.ts'
import { awayOf, checkUnlocked, mastersNamed, unlockMasters } from '../unlock-masters.ts'

const lockPath = '/conclave/v1/lock'

/** `conclave cluster autolock|unlock|unlock-key|keys|rotate-keys`: the keys behind all others. */
export function lockCommands(program: Command, client: () => Client): void {
  const cluster = groupOf(program, 'cluster', 'look after the cluster as a whole')

  cluster
    .command('autolock')
    .argument('<on|off>', 'whether a master that restarts waits for the unlock key', onOrOff)
    .description('turn autolock on, which prints the unlock key, or off')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave cluster autolock on > unlock-key.txt\n  conclave cluster autolock off',
    )
    .action((isOn: boolean) => setAutolock(client(), isOn))

  cluster
    .command('unlock')
    .description('unlock every master that waits for it: asks for the key, or reads it')
    .option('--file <file>', 'where the key is, or - for standard input')
    .option('--shares', 'take shares of the key instead, one a line, until there are enough')
    .option('--master <id...>', 'only these masters, and fail unless each of them is open then')
    .option('--json', 'print what became of each master as JSON')
    .addHelpText(
      'after',
      `
Examples:
  conclave cluster unlock
  conclave cluster unlock --file unlock-key.txt
  conclave cluster unlock --shares
  conclave cluster unlock --master master-2 < unlock-key.txt

Exit code 0 says that every master that answers is open, and every one that --master names. One that
does not answer is told of and has to be unlocked once it runs.`,
    )
    .allowExcessArguments()
    .action((options: UnlockOptions, command: Command) => unlock(options, command.args))

  cluster
    .command('unlock-key')
    .description('print the unlock key, or another one in its place')
    .option('--rotate', 'make another one: the key before it opens nothing again')
    .option('--shares <n>', 'print it as so many shares instead', count)
    .option('--threshold <k>', 'how many of them are enough', count)
    .addHelpText(
      'after',
      '\nExamples:\n  conclave cluster unlock-key --rotate > unlock-key.txt\n  conclave cluster unlock-key --shares 5 --threshold 3',
    )
    .action((options: KeyOptions) => printKey(client(), options))

  cluster
    .command('keys')
    .description('show the lock, and how far a rotation of the keys is')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExamples:\n  conclave cluster keys\n  conclave cluster keys --json')
    .action(async (options: { json?: boolean }) => {
      showStatus(await statusOf(client()), options.json === true)
    })

  cluster
    .command('rotate-keys')
    .description(
      'seal under another key from now on, move all secrets under it, and let the old one go',
    )
    .option('-d, --detach', 'do not wait until the old key is destroyed')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave cluster rotate-keys\n  conclave cluster rotate-keys --detach && conclave cluster keys',
    )
    .action((options: RotateOptions) => rotateKeys(client(), options))
}

async function setAutolock(client: Client, isOn: boolean): Promise<void> {
  const { body } = await client.bytes({
    face: 'conclave',
    method: 'PUT',
    path: lockPath,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ isOn })),
  })
  if (!isOn) {
    return advise(
      'autolock is off: the key rests on every master again, and the unlock key opens nothing',
    )
  }
  showKey(body)
  advise(
    'keep this key away from the masters, or in shares (conclave cluster unlock-key --shares 5 --threshold 3): whoever restarts a master needs it for conclave cluster unlock',
  )
}

interface UnlockOptions {
  readonly file?: string
  readonly shares?: boolean
  readonly master?: readonly string[]
  readonly json?: boolean
}

async function unlock(options: UnlockOptions, excess: readonly string[]): Promise<void> {
  if (excess.length > 0) {
    throw new CommandFailed(
      'usage',
      'a key is never an argument, where every process could see it: pipe it in, or type it when asked',
    )
  }
  const { file, shares: isShared = false, master: names = [], json: isJson = false } = options
  const masters = mastersNamed(readContext(), names)
  const text = await readUnlockKey({ file, isShared })
  const outcomes = await unlockMasters(masters, text).finally(() => wipe(text))
  if (isJson) printJson(outcomes)
  else {
    const rows = outcomes.map(({ masterId, outcome }) => [masterId, outcome])
    print(table(['MASTER', 'LOCK'], rows))
  }
  checkUnlocked(outcomes, names.length > 0)
  const away = awayOf(outcomes)
  if (away.length > 0) {
    advise(`${away.join(', ')} does not answer: if autolock is on, unlock it again once it runs`)
  }
}

interface KeyOptions {
  readonly rotate?: boolean
  readonly shares?: number
  readonly threshold?: number
}

async function printKey(client: Client, options: KeyOptions): Promise<void> {
  const { rotate: isRotating = false, shares, threshold } = options
  if ((shares === undefined) !== (threshold === undefined)) {
    throw new CommandFailed('usage', 'give --shares and --threshold together, such as 5 and 3')
  }
  // Before a key is replaced that could not be shown then.
  if (shares !== undefined && threshold !== undefined && (threshold < 2 || threshold > shares)) {
    throw new CommandFailed('usage', '--threshold goes from 2 up to the number of --shares')
  }
  const { body } = await client.bytes({
    face: 'conclave',
    method: isRotating ? 'POST' : 'GET',
    path: isRotating ? `${lockPath}/key/rotate` : `${lockPath}/key`,
  })
  if (shares === undefined || threshold === undefined) showKey(body)
  else await showShares(body, shares, threshold)
  if (!isRotating) return
  const { waitingFor } = await statusOf(client)
  if (waitingFor.length === 0) return
  advise(
    `until conclave cluster keys names nobody who waits, keep the key before, too: ${waitingFor.join(', ')} may still need it`,
  )
}

interface RotateOptions {
  readonly detach?: boolean
  readonly json?: boolean
}

async function rotateKeys(client: Client, options: RotateOptions): Promise<void> {
  const { detach: isDetached = false, json: isJson = false } = options
  const begun = await client.json<LockStatus>('conclave', 'POST', '/conclave/v1/keyring/rotate')
  if (isDetached) return showStatus(begun, isJson)
  const status = await untilRotated(begun, {
    ask: () => statusOf(client),
    tell: isJson ? () => undefined : advise,
  })
  showStatus(status, isJson)
  if (!isJson) advise(`the keys before ${begun.keys.newest} are destroyed`)
}

const statusOf = (client: Client): Promise<LockStatus> => client.json('conclave', 'GET', lockPath)

function onOrOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on'
  throw new InvalidArgumentError('It must be on or off.')
}

function count(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text) && Number(text) >= 2 && Number(text) <= 255) return Number(text)
  throw new InvalidArgumentError('It must be a number from 2 to 255.')
}

/** The key alone goes to standard output. It is wiped. */
function showKey(text: Uint8Array): void {
  const line = Buffer.concat([text, Buffer.from('\n')])
  text.fill(0)
  process.stdout.write(line, () => line.fill(0))
}

async function showShares(text: Uint8Array, shares: number, threshold: number): Promise<void> {
  const unlockKey = parseUnlockKey(new Redacted(text))
  text.fill(0)
  try {
    for (const share of await splitUnlockKey(unlockKey, { shares, threshold }))
      showKey(share.reveal())
  } finally {
    wipe(unlockKey)
  }
  advise(`any ${threshold} of these unlock a master, by conclave cluster unlock --shares`)
}

function showStatus(status: LockStatus, isJson: boolean): void {
  if (isJson) return printJson(status)
  const { isOn, kekVersion, waitingFor, keys } = status
  const rows = [
    ['autolock', isOn ? 'on' : 'off'],
    ['key version', `${kekVersion}`],
    ['masters that do not keep it yet', waitingFor.length === 0 ? 'none' : waitingFor.join(', ')],
    ['newest data key', `${keys.newest}`],
    ['data keys kept, by number', keys.kept.join(', ')],
    ['sealed records under the newest', `${keys.rewrapped}`],
    ['sealed records left', `${keys.left}`],
  ]
  print(table(['WHAT', 'NOW'], rows))
}
