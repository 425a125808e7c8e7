import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { LockStatus } from '@conclave/actors'
import { forgetCompileCache, isPeerWire } from '@conclave/assembly'
import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { Client } from './client.ts'
import type { LocalCluster } from './cluster/local-cluster.ts'
import { untilReady } from './cluster/readiness.ts'
import { engineIn } from './cluster/engine.ts'
import { startLocalCluster } from './cluster/start-local-cluster.ts'
import type { EngineOptions } from './engine-options.ts'
import { agentSettings } from './agent-settings.ts'
import {
  contextFile,
  removeContext,
  writeContext,
  writePrivateJson,
  type Context,
} from './context.ts'
import { watchForLock } from './lock-state.ts'
import { CommandFailed } from './failure.ts'
import { bold, dim, print, printJson } from './output.ts'
import { readyDocument, type ReadyDocument } from './ready-document.ts'
import { ClaimBroken, Story } from './tour/story.ts'
import { snapshotEntriesOfTour, tour } from './tour/tour.ts'

export interface UpOptions extends EngineOptions {
  readonly tour?: boolean
  readonly once?: boolean
  readonly processes?: boolean
  readonly data?: string | true
  readonly readyFile?: string
  readonly json?: boolean
  /** `tcp`, or the address of a Redis. */
  readonly peerWire: string
  readonly masters: number
  readonly agents: number
  /** Of every agent, unless `agentSetting` says otherwise, and of every docker socket. */
  readonly simulatedImages: SimulatedImagesMode
  /** Such as `secretResolver=vault`. */
  readonly agentSetting?: readonly string[]
  /** Of every master and agent. */
  readonly faithfulLeaks?: boolean
}

const leaksWarning = `conclave: FAITHFUL LEAKS ARE ON. State endpoints, logs and images give values of secrets away as Mesos does, and
each agent writes them in plain text below its directory (agents/*/faithful-leaks). For lessons only:
use no secret that matters, and throw the directory away afterwards.
`

/** Starts the cluster, shows what was asked for, and stops it. @returns the exit code */
export async function up(options: UpOptions): Promise<number> {
  forgetCompileCache()
  const ended = endOfThisCommand()
  const engine = engineIn(options)
  if (engine !== undefined) checkFitsEtcd(options)
  const { directory, isKept } = whereTo(options.data)
  // Whoever waits for it must not take that of an earlier cluster for this one's.
  const readyFile = options.readyFile === undefined ? undefined : resolve(options.readyFile)
  if (readyFile !== undefined) rmSync(readyFile, { force: true })
  const ofAgents = await agentSettings(options.agentSetting ?? [])
  if (ofAgents['faithfulLeaks'] === true && options.faithfulLeaks !== true) {
    throw new CommandFailed(
      'usage',
      'masters take no agent that leaks unless they leak, too: say --faithful-leaks',
    )
  }
  if (options.faithfulLeaks === true && (options.tour === true || options.once === true)) {
    throw new CommandFailed(
      'usage',
      'the tour shows that values are nowhere; take it without --faithful-leaks',
    )
  }
  if (options.faithfulLeaks === true) process.stderr.write(leaksWarning)
  if (options.json !== true) print(dim('starting …\n'))
  const wanted = whenEnded(ended)
  const ready = new AbortController()
  const { cluster, addresses } = await startLocalCluster({
    directory,
    isKept,
    mode: options.processes === true ? 'processes' : 'one process',
    masters: options.masters,
    agents: options.agents,
    peerWire: peerWire(options.peerWire),
    engine,
    simulatedImages: options.simulatedImages,
    agentSettings: {
      simulatedImages: options.simulatedImages,
      ...(options.faithfulLeaks === true && { faithfulLeaks: true }),
      ...ofAgents,
    },
    faithfulLeaks: options.faithfulLeaks === true,
    // The tour looks for secrets in snapshots, too, so there have to be some.
    ...(isTour(options) && {
      snapshotEntries: snapshotEntriesOfTour,
    }),
    signal: wanted,
    onPrepared: (context) => {
      void watchForLock(context, ready.signal, () => tellOfLock(context))
      wanted.addEventListener('abort', () => removeContext(context.clusterId))
    },
    onLost: (id, why) => {
      process.stderr.write(
        `conclave: ${id} ended by itself (${why}); see ${directory}/logs/${id}.log\n`,
      )
    },
  }).catch((error: unknown) => {
    ready.abort()
    throw error
  })
  const client = new Client(cluster.context)
  let code = 1
  try {
    await untilReady(cluster, client, wanted, standsOn(options)).finally(() => ready.abort())
    writeContext(cluster.context)
    const document = readyDocument(cluster, addresses, options.peerWire === 'tcp')
    const lock = await client.json<LockStatus>('conclave', 'GET', '/conclave/v1/lock')
    if (readyFile !== undefined) writePrivateJson(readyFile, document)
    // Since this process began, loading included.
    announce(document, options, performance.now(), lock.isOn)
    code = await whatFollows(cluster, options, ended)
  } finally {
    client.close()
    await cluster.stop()
    removeContext(cluster.context.clusterId)
    if (readyFile !== undefined) rmSync(readyFile, { force: true })
    // A cluster that nobody can start again leaves nothing behind, unless its logs may be needed.
    if (!isKept && code === 0) rmSync(directory, { recursive: true, force: true })
    if (!isKept && code !== 0) process.stderr.write(`conclave: what is left is in ${directory}\n`)
  }
  return code
}

const isTour = ({ tour: isWanted, once }: UpOptions): boolean => isWanted === true || once === true

function checkFitsEtcd(options: UpOptions): void {
  if (options.data === undefined) {
    throw new CommandFailed(
      'usage',
      '--engine needs --data: the key that opens what is in etcd rests there, and would be gone with this command',
    )
  }
  if (isTour(options)) {
    throw new CommandFailed(
      'usage',
      'the tour shows how masters agree among themselves; take it without --engine',
    )
  }
}

/** Kept apart from what is printed: it may hold a password. */
function peerWire(text: string): RedactedBytes {
  if (isPeerWire(text)) return new Redacted(utf8(text))
  throw new CommandFailed(
    'usage',
    '--peer-wire is tcp, or the address of a Redis such as redis://host:6379 or unix:///run/redis.sock',
  )
}

/** Without the address: it may hold a password. */
function standsOn({ engine, peerWire: wire }: UpOptions): string | undefined {
  if (engine !== undefined && engine !== 'embedded') return 'the etcd of --engine'
  return wire === 'tcp' ? undefined : 'the Redis of --peer-wire'
}

/** Whoever unlocks it must find it first: the context is written before the cluster is ready. */
function tellOfLock(context: Context): void {
  writeContext(context)
  process.stderr.write(
    'conclave: the cluster is locked, and waits for its unlock key: conclave cluster unlock\n',
  )
}

async function whatFollows(
  cluster: LocalCluster,
  options: UpOptions,
  ended: Promise<void>,
): Promise<number> {
  const isJson = options.json === true
  if (isTour(options)) {
    const code = await Promise.race([takeTour(cluster, isJson), ended.then(() => 130)])
    if (options.once === true || code !== 0) return code
  }
  // What the example is given: the tour has stored it.
  const needed = isTour(options) ? 'dev/db/password' : 'tour/db-password'
  if (!isJson) print(nextCommands(cluster.context.uid, needed))
  return Promise.race([ended.then(() => 0), cluster.deserted.then(() => 1)])
}

/** @returns the exit code */
async function takeTour(cluster: LocalCluster, isJson: boolean): Promise<number> {
  const story = new Story(isJson ? 'silent' : 'aloud')
  let broken: string | undefined
  try {
    await tour(cluster, story)
  } catch (error) {
    if (!(error instanceof ClaimBroken || error instanceof CommandFailed)) throw error
    broken = error.message
  }
  if (isJson) printJson({ tour: { holds: broken === undefined, broken, claims: story.claims } })
  else if (broken === undefined) print(`\n${bold(`All ${story.claims.length} claims held.`)}\n`)
  if (broken !== undefined) process.stderr.write(`conclave: a claim did not hold: ${broken}\n`)
  return broken === undefined ? 0 : 1
}

function announce(
  document: ReadyDocument,
  { json }: UpOptions,
  tookMs: number,
  isLockable: boolean,
): void {
  if (json === true) return printJson(document)
  const { masters, agents, credentials, directory, mode } = document
  print(
    `${bold('conclave')} is up: ${masters.length} masters, ${agents.length} agents, ` +
      `1 scheduler in ${mode}, ready in ${(tookMs / 1000).toFixed(1)} s\n`,
  )
  for (const { masterId, listeners } of masters) {
    const faces = ['conclave', 'dcos', 'mesos', 'docker'].map(
      (face) => `${face} ${listeners[face] ?? ''}`,
    )
    print(`   ${masterId}  ${faces.join('  ')}\n`)
  }
  for (const { id, listeners } of agents) {
    const { mesos } = listeners
    if (mesos !== undefined) print(`   ${id}  mesos ${mesos}\n`)
  }
  print(`   log in as ${bold(credentials.uid)} with password ${bold(credentials.password)}\n`)
  const lock = isLockable
    ? 'autolock is on: a master that restarts waits for conclave cluster unlock'
    : 'autolock is off: the key that wraps all others rests there, 0600'
  print(dim(`   data ${directory}\n   ${lock}\n`))
}

const nextCommands = (uid: string, path: string): string => `
${bold('Next')}, in another terminal, here (as ${uid}, by ${contextFile()}):
   printf %s "s3cr3t" | npm run -s conclave -- secret put ${path}
   npm run -s conclave -- secret ls
   npm run -s conclave -- run examples/tasks/env-secret.json
   npm run -s conclave -- events
   npm run -s conclave -- --help

Ctrl-C ends the cluster.
`

function whereTo(data: UpOptions['data']): { directory: string; isKept: boolean } {
  if (data === undefined) {
    return { directory: mkdtempSync(join(realpathSync(tmpdir()), 'conclave-')), isKept: false }
  }
  const directory = data === true ? join(homedir(), '.conclave', 'cluster') : resolve(data)
  return { directory, isKept: true }
}

function whenEnded(ended: Promise<void>): AbortSignal {
  const controller = new AbortController()
  void ended.then(() => {
    controller.abort(new CommandFailed('failed', 'stopped before the cluster was ready'))
    return undefined
  })
  return controller.signal
}

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const sameKeyMs = 500

/** Resolves at the first Ctrl-C or SIGTERM; a later one ends this process as it is. */
function endOfThisCommand(): Promise<void> {
  return new Promise((resolved) => {
    // A signal that is waited for does not keep a process alive.
    const stay = setInterval(() => undefined, 2 ** 30)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        const firstAt = performance.now()
        process.on(signal, () => {
          if (performance.now() - firstAt > sameKeyMs) process.exit(130)
        })
        clearInterval(stay)
        resolved()
      })
    }
  })
}
