import {
  ConfigInvalid,
  createLogger,
  loadConfig,
  reasonOf,
  setting,
  type Config,
  type Log,
} from '@conclave/runtime'
import { z } from 'zod'
import { helpText, readCommandLine, type Described, type Settings } from './command-line.ts'
import { forgetCompileCache } from './compile-cache.ts'

/** What every app can be told. */
export const commonSettings = {
  logLevel: setting(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
    'one of trace, debug, info, warn, error, silent',
    'info',
  ),
  /** So that members of a cluster that `conclave up` started never outlive it. */
  stopWithInput: setting(z.boolean(), 'true to stop when standard input ends, or false', false),
} as const

/** One member that runs in this process. */
export interface AppMember {
  /** What the line on standard output says, once the member can be used. */
  readonly ready: Promise<Readonly<Record<string, unknown>>>
  /** Resolves when the member cannot go on, with the reason. */
  readonly failed: Promise<unknown>
  stop(): Promise<void>
}

export interface App<S extends Settings> extends Described {
  readonly settings: S
  /** Who writes the log, such as `master`. */
  readonly source: string
  start(config: Config<S>, log: Log): Promise<AppMember>
}

export interface Surroundings {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Resolves when somebody wants this process to end. */
  readonly ended: (stopWithInput: boolean) => Promise<string>
}

/** Runs an app from its command line to its end. @returns the exit code */
export async function runApp<S extends Settings & typeof commonSettings>(
  app: App<S>,
  { argv, environment, out, err, ended }: Surroundings,
): Promise<number> {
  const line = readCommandLine(app.settings, argv)
  if (line.kind === 'help') {
    out(helpText(app))
    return 0
  }
  if (line.kind === 'wrong') {
    err(`${app.name}: ${line.why}\n(${app.name} --help shows what there is)\n`)
    return 2
  }
  let config: Config<S>
  try {
    config = (await loadConfig(app.settings, { flags: line.flags, environment, file: line.file }))
      .config
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    err(`${app.name}: the configuration is not right\n${indented(error.message)}\n`)
    return 2
  }
  const common = config as Config<typeof commonSettings>
  const log = createLogger({ level: common.logLevel, to: 'stderr', base: { app: app.source } })
  forgetCompileCache()
  let member: AppMember
  try {
    member = await app.start(config, log)
  } catch (error) {
    const reason = reasonOf(error)
    if (reason === undefined) throw error
    log.error({ err: error }, 'could not start')
    err(`${app.name}: ${reason}\n`)
    return 1
  }
  return untilTheEnd(member, log, out, ended(common.stopWithInput))
}

async function untilTheEnd(
  member: AppMember,
  log: Log,
  out: Surroundings['out'],
  ended: Promise<string>,
): Promise<number> {
  void member.ready.then((told) =>
    out(`${JSON.stringify({ ready: true, pid: process.pid, ...told })}\n`),
  )
  const end = await Promise.race([
    ended.then((why) => ({ why })),
    member.failed.then((error) => ({ error })),
  ])
  if ('error' in end) {
    log.error({ err: end.error }, 'cannot go on')
    return 1
  }
  log.info({ why: end.why }, 'stopping')
  await member.stop()
  log.info({}, 'stopped')
  return 0
}

const indented = (text: string): string =>
  text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const sameKeyMs = 500

/** This process, as it is: its arguments, streams and signals. A second signal ends it at once. */
export const thisProcess: Surroundings = {
  argv: process.argv.slice(2),
  environment: process.env,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  ended: (stopWithInput) =>
    new Promise((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        process.once(signal, () => {
          const firstAt = performance.now()
          process.on(signal, () => {
            if (performance.now() - firstAt > sameKeyMs) process.exit(130)
          })
          resolve(signal)
        })
      }
      if (!stopWithInput) return
      process.stdin.once('end', () => resolve('standard input ended')).resume()
      process.stdin.once('error', () => resolve('standard input broke'))
    }),
}
