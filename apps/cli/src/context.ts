import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { CommandFailed } from './failure.ts'

/** Where the cluster is and who talks to it. `conclave up` writes it, every other command reads it. */
export const Context = z.object({
  clusterId: z.string(),
  masters: z
    .array(
      z.object({
        masterId: z.string(),
        conclave: z.url(),
        dcos: z.url(),
        mesos: z.url(),
      }),
    )
    .min(1),
  uid: z.string(),
  password: z.string(),
})
export type Context = z.infer<typeof Context>

/** `$CONCLAVE_CONTEXT`, else `~/.conclave/context.json`. */
export const contextFile = (): string =>
  process.env['CONCLAVE_CONTEXT'] ?? join(homedir(), '.conclave', 'context.json')

/** Readable by its owner alone, whole or not at all. */
export function writePrivateJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // A name that nobody can guess, and only if nothing is there: in /tmp others may lay links.
  const beside = `${file}.${randomUUID()}.tmp`
  writeFileSync(beside, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(beside, file)
}

export const writeContext = (context: Context): void => writePrivateJson(contextFile(), context)

/** Keeps what was learned of a cluster, if the context is still that cluster's. */
export function refreshContext(context: Context): void {
  const known = Context.safeParse(tryJson(textOf(contextFile()) ?? ''))
  if (known.success && known.data.clusterId === context.clusterId) writeContext(context)
}

/** Forgets the context, unless it is by now that of another cluster. */
export function removeContext(clusterId: string): void {
  const known = Context.safeParse(tryJson(textOf(contextFile()) ?? ''))
  if (known.success && known.data.clusterId !== clusterId) return
  rmSync(contextFile(), { force: true })
}

/** Beside the context, one file for each cluster that was given a directory to be started from again. */
const passwordFile = (clusterId: string): string =>
  join(dirname(contextFile()), 'clusters', `${clusterId}.json`)

export const rememberPassword = (clusterId: string, password: string): void =>
  writePrivateJson(passwordFile(clusterId), { password })

export function recallPassword(clusterId: string): string | undefined {
  const text = textOf(passwordFile(clusterId))
  return z.object({ password: z.string() }).safeParse(tryJson(text ?? '')).data?.password
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

export function readContext(): Context {
  const file = contextFile()
  const text = textOf(file)
  if (text === undefined) {
    throw new CommandFailed(
      'unavailable',
      `no cluster is known here (${file} cannot be read). Start one with: npm start`,
    )
  }
  const parsed = Context.safeParse(tryJson(text))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new CommandFailed(
    'usage',
    `${file} is not a context: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  )
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
