import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  areFree,
  chooseAddresses,
  enrol,
  loadEnrolment,
  MasterAddress,
  startMaster,
  thisProcess,
  type RunningMaster,
} from '@conclave/assembly'
import type { RedactedBytes } from '@conclave/kernel'
import { createLogger, reasonOf, SystemRandom } from '@conclave/runtime'
import { engineIn } from './cluster/engine.ts'
import { writePrivateJson } from './context.ts'
import type { EngineOptions } from './engine-options.ts'
import { CommandFailed } from './failure.ts'

export interface JoinAsMaster {
  readonly directory: string
  readonly address: { readonly host: string; readonly port: number } | undefined
  readonly token: RedactedBytes | undefined
  /** Where the other masters reach this one. */
  readonly host: string
  readonly isLearner: boolean
  readonly plainHttp: boolean
  /** The same as the masters that are there have. */
  readonly engine: EngineOptions
}

/**
 * One master in the foreground: it joins with a token unless it has joined already, and runs until it is
 * told to stop, or was removed. @returns the exit code
 */
export async function joinAsMaster(options: JoinAsMaster): Promise<number> {
  const { directory, address, token, host } = options
  const engine = engineIn(options.engine)
  const log = createLogger({ level: 'info', to: 'stderr', base: { app: 'master' } })
  if (token !== undefined && address !== undefined) {
    await enrol({ address, token, directory, role: 'master', hosts: [host], log })
  } else if (token !== undefined || address !== undefined) {
    throw new CommandFailed('usage', 'joining takes both: --address, and --token-file or --token')
  }
  const enrolment = await loadEnrolment(directory)
  if (enrolment?.nodeId === undefined) {
    throw new CommandFailed(
      'usage',
      `${directory} has not joined yet: give --address and --token-file (conclave cluster join-token master)`,
    )
  }
  const own = await placeFor(directory, { masterId: enrolment.id, nodeId: enrolment.nodeId }, host)
  const others = enrolment.masters.filter(({ masterId }) => masterId !== own.masterId)
  const master = await startMaster({
    directory,
    masters: [...others, own],
    plainHttp: options.plainHttp,
    engine,
    joinAs: options.isLearner ? 'learner' : 'voter',
    log,
  })
  const ended = thisProcess.ended(false)
  void sayWhenReady(master)
  const end = await Promise.race([
    ended.then(() => undefined),
    master.failed.then((error: unknown) => ({ error })),
  ])
  await master.stop()
  if (end === undefined) return 0
  thisProcess.err(`conclave: ${reasonOf(end.error) ?? 'it failed'}\n`)
  return 1
}

/** One line, as all members of a cluster say it. One that was not let in says nothing. */
async function sayWhenReady(master: RunningMaster): Promise<void> {
  await master.ready()
  if (!master.api.status().isReady) return
  const { masterId, place } = master
  thisProcess.out(`${JSON.stringify({ ready: true, pid: process.pid, masterId, place })}\n`)
}

/** Where it listened the last time if that is free, else elsewhere: the others learn of it. */
async function placeFor(
  directory: string,
  node: { readonly masterId: string; readonly nodeId: number },
  host: string,
): Promise<MasterAddress> {
  const file = join(directory, 'place.json')
  const text = await readFile(file, 'utf8').catch(() => 'null')
  const last = MasterAddress.safeParse(JSON.parse(text)).data
  if (last !== undefined && last.host === host && (await areFree([last]))) return last
  const [place] = await chooseAddresses([node], host, new SystemRandom())
  if (place === undefined) throw new CommandFailed('failed', 'no place was chosen')
  writePrivateJson(file, place)
  return place
}
