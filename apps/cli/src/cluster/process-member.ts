import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { masterEnvironment, masterFlags } from '@conclave/assembly'
import { linesOf } from '@conclave/runtime'
import { compileCache } from '../compile-cache.ts'
import { CommandFailed } from '../failure.ts'
import { agentListeners, type Kind, type Member } from './member.ts'

/** How long a stopped member may take before it is killed. */
const graceMs = 10_000

export interface ProcessOptions {
  readonly id: string
  readonly kind: Kind
  readonly configFile: string
  /** What its file may not say. */
  readonly args?: readonly string[]
  readonly logFile: string
  /** A process that is not ready by then is killed. */
  readonly signal?: AbortSignal
}

/** Starts one app by the Node that runs this one, and lets it go only when this process ends. */
export async function startProcess(options: ProcessOptions): Promise<Member> {
  const main = fileURLToPath(new URL(`../../../${options.kind}/src/main.ts`, import.meta.url))
  const log = openSync(options.logFile, 'a', 0o600)
  const isMaster = options.kind === 'master'
  const flags = isMaster ? masterFlags : []
  const args = [...flags, main, '--config', options.configFile, ...(options.args ?? [])]
  const child = spawn(process.execPath, args, {
    // Its standard input ends when we do, however we end: no member outlives its cluster.
    stdio: ['pipe', 'pipe', log],
    // A group of its own, so that Ctrl-C is heard here alone and members stop in order.
    detached: process.platform !== 'win32',
    env: {
      NODE_COMPILE_CACHE: compileCache,
      ...(isMaster && masterEnvironment),
      ...withoutConclave(process.env),
    },
  })
  const told = { ...options, logFrom: fstatSync(log).size }
  closeSync(log)
  const member = new ProcessMember(child, told)
  const giveUp = (): void => void child.kill('SIGKILL')
  options.signal?.addEventListener('abort', giveUp)
  await member.ready.finally(() => options.signal?.removeEventListener('abort', giveUp))
  return member
}

/** A member is told by its configuration alone, not by what the shell of `conclave up` has set. */
const withoutConclave = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('CONCLAVE_')))

class ProcessMember implements Member {
  readonly pid: number
  readonly ready: Promise<void>
  readonly lost: Promise<string>
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #isWanted = true
  #listeners: Readonly<Record<string, string>> = {}

  constructor(
    child: ChildProcess,
    { id, logFile, logFrom }: ProcessOptions & { readonly logFrom: number },
  ) {
    this.#child = child
    this.pid = child.pid ?? 0
    const ready = Promise.withResolvers<void>()
    this.ready = ready.promise
    const lost = Promise.withResolvers<string>()
    this.lost = lost.promise
    let isReady = false
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const why = signal ?? `exit code ${code}`
        if (!isReady) ready.reject(neverReady(id, why, { logFile, logFrom }))
        else if (this.#isWanted) lost.resolve(why)
        resolve()
      })
    })
    child.once('error', (error) =>
      ready.reject(neverReady(id, error.message, { logFile, logFrom })),
    )
    child.stdin?.on('error', () => undefined)
    if (child.stdout === null) return
    void whenReady(child.stdout, (line) => {
      isReady = true
      this.#listeners = agentListeners(listenerIn(line))
      ready.resolve()
    })
  }

  get listeners(): Readonly<Record<string, string>> {
    return this.#listeners
  }

  async stop(): Promise<void> {
    this.#isWanted = false
    this.#child.kill('SIGTERM')
    const last = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await this.#ended
    clearTimeout(last)
  }

  async kill(): Promise<void> {
    this.#isWanted = false
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** Reads to the end, so that nobody is cut off in the middle of a line. */
async function whenReady(
  stream: AsyncIterable<Uint8Array>,
  onReady: (line: string) => void,
): Promise<void> {
  for await (const line of linesOf(stream)) {
    if (line.startsWith('{"ready":true')) onReady(line)
  }
}

/** Where an agent says that it listens. */
function listenerIn(line: string): { host: string; port: number } | undefined {
  const { mesos } = JSON.parse(line) as { readonly mesos?: { host: string; port: number } }
  return mesos
}

/** In the app's own words, or with the end of its log when it had none. */
function neverReady(
  id: string,
  why: string,
  { logFile, logFrom }: { readonly logFile: string; readonly logFrom: number },
): CommandFailed {
  // What stands before belongs to earlier starts.
  const lines = readFileSync(logFile).subarray(logFrom).toString('utf8').trimEnd().split('\n')
  const said =
    lines.findLast((line) => line.startsWith('conclave-')) ?? lines.slice(-3).join('\n  ')
  return new CommandFailed('failed', `${id} did not start (${why}); in ${logFile}:\n  ${said}`)
}
