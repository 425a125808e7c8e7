import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import type { Client } from '../client.ts'
import { groupOf } from '../command-group.ts'
import { rememberPassword } from '../context.ts'
import { withEtcd } from '../engine-options.ts'
import { CommandFailed } from '../failure.ts'
import { print, printJson } from '../output.ts'
import type { EtcdOptions } from '../store/etcd-place.ts'
import type { LockOptions, UnlockOptions } from '../store/export-locks.ts'

interface Shown {
  readonly json?: boolean
}

/** `conclave store`: the whole state, out of a cluster and into another home. */
export function storeCommands(program: Command, client: () => Client): void {
  const store = groupOf(program, 'store', 'take the whole state out, and put it elsewhere')

  store
    .command('export')
    .argument('<file>', 'a new file; it appears once it is whole')
    .description('write the state of the running cluster to a sealed file')
    .option(
      '--recipient <key>',
      'seal it to this public key (store keygen) instead of a passphrase',
    )
    .option('--passphrase-file <file>', 'read the passphrase there (- or piped: standard input)')
    .option('--json', 'print what was written as JSON')
    .addHelpText('after', exportHelp)
    .action(async (file: string, options: LockOptions & Shown) => {
      const { exportCluster } = await import('../store/transfers.ts')
      if (existsSync(file)) throw new CommandFailed('conflict', `${file} exists; name a new file`)
      say(options, await exportCluster(client(), file, options))
    })

  store
    .command('verify')
    .argument('<file>', 'an export')
    .description('read an export to its end, and say what it holds')
    .option('--key-file <file>', 'the private key that it was sealed to')
    .option('--passphrase-file <file>', 'read the passphrase there (- or piped: standard input)')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  conclave store verify backup.cnx --passphrase-file pass.txt',
    )
    .action(async (file: string, options: UnlockOptions & Shown) => {
      const { verifyFile } = await import('../store/transfers.ts')
      say(options, await verifyFile(file, options))
    })

  store
    .command('import')
    .argument('<file>', 'an export')
    .description('make a new cluster that begins with an exported state')
    .requiredOption(
      '--data <dir>',
      'a new directory for it; start it with: conclave up --data <dir>',
    )
    .option('--masters <n>', 'how many masters it has: 1, 3, 5 or 7', oddCount, 3)
    .option('--agents <n>', 'how many agents it has', anyCount, 2)
    .option('--key-file <file>', 'the private key that it was sealed to')
    .option('--passphrase-file <file>', 'read the passphrase there (- or piped: standard input)')
    .option('--json', 'print what was made as JSON')
    .addHelpText('after', importHelp)
    .action(async (file: string, options: UnlockOptions & Shown & NewCluster) => {
      const { importFile } = await import('../store/transfers.ts')
      say(options, await importFile(file, options, { ...planOf(options), keep: rememberPassword }))
    })

  withEtcd(store.command('migrate'))
    .description('copy the state from one engine to another')
    .requiredOption('--from <url>', 'conclave: (the running cluster), etcd://…, or file:<export>')
    .requiredOption(
      '--to <url>',
      'etcd://host:port,…/prefix, file:<export>, or conclave:<new directory>',
    )
    .option('--discard', 'throw away what an interrupted run of another state has left in etcd')
    .option(
      '--kek-from <dir>',
      "a master's directory, whose KEK opens the keyring of a state in etcd",
    )
    .option('--masters <n>', 'of a new directory', oddCount, 3)
    .option('--agents <n>', 'of a new directory', anyCount, 2)
    .option('--recipient <key>', 'seal a new export to this public key instead of a passphrase')
    .option('--key-file <file>', 'the private key that an export was sealed to')
    .option('--passphrase-file <file>', "an export's passphrase (- or piped: standard input)")
    .option('--json', 'print what was copied as JSON')
    .addHelpText('after', migrateHelp)
    .action(async (options: MigrateOptions & Shown & NewCluster) => {
      const { migrate } = await import('../store/transfers.ts')
      const plan = { ...planOf(options), keep: rememberPassword }
      say(options, await migrate(client, options, plan))
    })

  store
    .command('keygen')
    .argument('<file>', 'a new file for the private key')
    .description('make a key pair that exports can be sealed to; prints the public key')
    .addHelpText('after', '\nExample:\n  conclave store keygen backup.key > backup.pub')
    .action(async (file: string) => {
      const { makeKey } = await import('../store/transfers.ts')
      print(`${await makeKey(file)}\n`)
    })
}

export interface MigrateOptions extends LockOptions, UnlockOptions, EtcdOptions {
  readonly from: string
  readonly to: string
  readonly discard?: boolean
  readonly kekFrom?: string
}

interface NewCluster {
  readonly data?: string
  readonly masters: number
  readonly agents: number
}

const planOf = ({ data, masters, agents }: NewCluster): NewCluster & { readonly data: string } => ({
  data: resolve(data ?? ''),
  masters,
  agents,
})

/** `name  value` a line. */
function say({ json }: Shown, said: Readonly<Record<string, string | number>>): void {
  if (json === true) return printJson(said)
  const width = Math.max(...Object.keys(said).map(({ length }) => length))
  for (const [name, value] of Object.entries(said)) print(`${name.padEnd(width)}  ${value}\n`)
}

function anyCount(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a number from 1 to 999.')
}

function oddCount(text: string): number {
  if (/^[1357]$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be 1, 3, 5 or 7.')
}

const exportHelp = `
Whoever has the file and its passphrase (or key) can read every secret: keep them apart.

Examples:
  conclave store export backup.cnx
  conclave store export backup.cnx --recipient "$(cat backup.pub)"`

const importHelp = `
A state is only ever put into a new directory, whole or not at all. The new cluster has the same
id, secrets and people, new masters and certificates, and a superuser with a new password.

Example:
  conclave store import backup.cnx --data ./restored && conclave up --data ./restored`

const migrateHelp = `
A run that was interrupted goes on where it was. At the end what arrived is read and compared.
Writes that the cluster takes meanwhile are not copied: stop whoever writes first.

Examples:
  conclave store migrate --from conclave: --to etcd://10.0.0.1:2379,10.0.0.2:2379/conclave/prod
  conclave store migrate --from etcd://10.0.0.1/conclave/prod --kek-from ./cluster/masters/master-1 \\
    --to conclave:./restored`
