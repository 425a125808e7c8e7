import { wipe, writeJsonString } from '@conclave/kernel'
import { parseSecretPath } from '@conclave/model'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { CommandFailed } from '../failure.ts'
import { readInput } from '../input.ts'
import { age, print, printJson, table } from '../output.ts'

interface Metadata {
  readonly path: string
  readonly version: number
  readonly kind: 'text' | 'binary'
  readonly sizeBytes: number
  readonly updatedAtMs: number
}

const examples = `
Examples:
  printf %s "$PASSWORD" | conclave secret put dev/db/password
  conclave secret put dev/tls/key --file key.pem --if-version 3
  conclave secret get dev/db/password > password.txt
  conclave secret ls dev
  conclave secret versions dev/db/password --json
  conclave secret rm dev/db/password`

/** Checked here, too: a `..` would not survive as part of a URL. @throws PathInvalid */
const urlOf = (path: string): string =>
  `/secrets/v1/secret/default/${parseSecretPath(path).split('/').map(encodeURIComponent).join('/')}`

/** `conclave secret …`: the Secrets API, with values on standard input and output or in files only. */
export function secretCommands(program: Command, client: () => Client): void {
  const secret = program
    .command('secret')
    .description('store, read and list secrets')
    .addHelpText('after', examples)

  secret
    .command('put')
    .argument('<path>', 'where to keep it, such as dev/db/password')
    .description('store a value from standard input or a file; a value is never an argument')
    .option('-f, --file <file>', 'read the value from a file (default: standard input)')
    .option('--binary', 'keep it as bytes (default: text when it is valid UTF-8 without NUL)')
    .option('--create', 'fail if it exists')
    .option('--if-version <n>', 'replace only if this is the current version')
    .option('--json', 'print the stored metadata as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  printf %s "$PASSWORD" | conclave secret put dev/db/password\n  conclave secret put dev/tls/key --file key.pem',
    )
    // Refused by us, since the words of others would repeat the value.
    .allowExcessArguments()
    .action(async (path: string, options: PutOptions, command: Command) => {
      if (command.args.length > 1) {
        throw new CommandFailed(
          'usage',
          'a value is never an argument, where every process could see it: pipe it in, or use --file',
        )
      }
      await put(client(), path, options)
    })

  secret
    .command('get')
    .argument('<path>', 'where it is kept, such as dev/db/password')
    .description('write the value to standard output, byte for byte')
    .option('--version <n>', 'an earlier version that is still kept')
    .option('--json', 'print {"value"} (text) or {"data"} (base64 of bytes)')
    .action(async (path: string, options: { version?: string; json?: boolean }) => {
      const query =
        options.version === undefined ? '' : `?version=${encodeURIComponent(options.version)}`
      const answer = await client().bytes({
        face: 'dcos',
        method: 'GET',
        path: urlOf(path) + query,
        headers: { accept: options.json === true ? '*/*' : 'application/octet-stream' },
      })
      if (options.json !== true) {
        process.stdout.write(answer.body)
      } else if (answer.headers['content-type'] === 'application/json') {
        print(`${Buffer.from(answer.body).toString()}\n`)
      } else {
        print(`${JSON.stringify({ data: Buffer.from(answer.body).toString('base64') })}\n`)
      }
    })

  secret
    .command('ls')
    .argument('[folder]', 'only what is below it', '')
    .description('list secrets (never their values)')
    .option('--json', 'print it as JSON')
    .action(async (folder: string, options: { json?: boolean }) => {
      const { secrets } = await client().json<{ secrets: Metadata[] }>(
        'conclave',
        'GET',
        `/conclave/v1/secrets?folder=${encodeURIComponent(folder)}`,
      )
      if (options.json === true) return printJson(secrets)
      print(metadataTable(secrets))
    })

  secret
    .command('versions')
    .argument('<path>', 'where it is kept, such as dev/db/password')
    .description('list the versions that are kept, newest first')
    .option('--json', 'print it as JSON')
    .action(async (path: string, options: { json?: boolean }) => {
      const { versions } = await client().json<{ versions: Metadata[] }>(
        'conclave',
        'GET',
        `/conclave/v1/versions?path=${encodeURIComponent(path)}`,
      )
      if (options.json === true) return printJson(versions)
      print(metadataTable(versions))
    })

  secret
    .command('rm')
    .argument('<path...>', 'where they are kept')
    .description('delete secrets with all their versions')
    .option('--json', 'print it as JSON')
    .action(async (paths: string[], options: { json?: boolean }) => {
      for (const path of paths)
        await client().bytes({ face: 'dcos', method: 'DELETE', path: urlOf(path) })
      if (options.json === true) printJson({ deleted: paths })
    })
}

interface PutOptions {
  readonly file?: string
  readonly binary?: boolean
  readonly create?: boolean
  readonly ifVersion?: string
  readonly json?: boolean
}

async function put(client: Client, path: string, options: PutOptions): Promise<void> {
  const url = urlOf(path)
  const value = await readValue(options.file)
  const isBinary = options.binary === true || !isText(value)
  const headers = {
    'content-type': isBinary ? 'application/octet-stream' : 'application/json',
    ...(options.ifVersion !== undefined && { 'if-match': `"${options.ifVersion}"` }),
  }
  const body = isBinary ? value : jsonBody(value)
  const call = { face: 'dcos', path: url, headers, body } as const
  if (options.ifVersion === undefined) {
    const created = await client.try({ ...call, method: 'PUT' })
    const isReplacing = created.status === 409 && options.create !== true
    if (created.status >= 400 && !isReplacing) await client.bytes({ ...call, method: 'PUT' })
    if (isReplacing) await client.bytes({ ...call, method: 'PATCH' })
  } else {
    await client.bytes({ ...call, method: 'PATCH' })
  }
  value.fill(0)
  body.fill(0)
  if (options.json !== true) return
  const { versions } = await client.json<{ versions: Metadata[] }>(
    'conclave',
    'GET',
    `/conclave/v1/versions?path=${encodeURIComponent(path)}`,
  )
  printJson(versions[0])
}

/** `{"value": …}` without a string of the value in between. */
function jsonBody(value: Buffer): Buffer {
  const quoted = writeJsonString(value)
  const body = Buffer.concat([Buffer.from('{"value":'), quoted, Buffer.from('}')])
  wipe(quoted)
  return body
}

async function readValue(file: string | undefined): Promise<Buffer> {
  if (file === undefined && process.stdin.isTTY) {
    throw new CommandFailed('usage', 'pipe the value in, or name a file with --file')
  }
  return readInput(file ?? '-')
}

function isText(value: Buffer): boolean {
  if (value.includes(0)) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(value)
    return true
  } catch {
    return false
  }
}

const metadataTable = (secrets: readonly Metadata[]): string =>
  table(
    ['PATH', 'VERSION', 'KIND', 'BYTES', 'UPDATED'],
    secrets.map(({ path, version, kind, sizeBytes, updatedAtMs }) => [
      path,
      `${version}`,
      kind,
      `${sizeBytes}`,
      `${age(updatedAtMs, Date.now())} ago`,
    ]),
  )
