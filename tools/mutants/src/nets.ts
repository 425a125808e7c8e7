import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Mutant } from './table.ts'

/** What is meant to catch mistakes. */
export const netNames = ['corpus', 'simulation', 'unit'] as const
export type NetName = (typeof netNames)[number]

export interface Catch {
  readonly isCaught: boolean
  /** Until it was known; for the simulation, of processor time. */
  readonly seconds: number
  /** By what, in a few words: a file and line, a rule and a seed, a test. */
  readonly by: string
}

export interface NetOptions {
  /** The root of the copy. */
  readonly root: string
  /** Where the data files of others lie, if they do. */
  readonly corpus: string | undefined
  readonly simulationSeconds: number
}

/** Casts one net, or answers undefined when it does not reach there. */
export async function cast(
  net: NetName,
  mutant: Mutant,
  { root, corpus, simulationSeconds }: NetOptions,
): Promise<Catch | undefined> {
  const room = mutant.file.split('/').slice(0, 2).join('/')
  switch (net) {
    case 'corpus': {
      if (room !== 'libs/raft') return undefined
      const others = corpus === undefined ? {} : { CONCLAVE_CORPUS: corpus }
      const { output, ...run } = await node(join(root, 'tools/corpus'), ['src/main.ts'], 15, others)
      const where = /^\S+\.txt:\d+: \S+/m.exec(output)?.[0]
      return { ...run, by: run.isCaught ? (where ?? lastLine(output)) : '' }
    }
    case 'simulation': {
      const { output, ...run } = await node(
        join(root, 'tools/mutants'),
        ['src/hunt.ts', String(simulationSeconds)],
        10 * simulationSeconds + 60,
      )
      const found = /^\{"seed":.*\}$/m.exec(output)?.[0]
      if (found === undefined) return { ...run, by: lastLine(output) }
      const { seed, profile, rule, used } = JSON.parse(found) as Hunted
      const by = rule === undefined ? `${seed} seeds` : `${rule}, ${profile} ${seed}`
      return { ...run, seconds: used, by }
    }
    default: {
      const vitest = join(root, 'node_modules/vitest/vitest.mjs')
      const { output, ...run } = await node(
        join(root, room),
        // Only a test that waits in vain takes so long, and a busy machine must not look like one.
        [vitest, 'run', '--bail', '1', '--no-color', '--testTimeout', '60000'],
        180,
      )
      return { ...run, by: run.isCaught ? (failureIn(output) ?? lastLine(output)) : '' }
    }
  }
}

/** What hunt.ts prints. */
interface Hunted {
  readonly seed: number
  readonly profile: string
  readonly rule?: string
  readonly used: number
}

interface Run {
  readonly isCaught: boolean
  readonly seconds: number
  readonly output: string
}

/** A process that fails, or that does not come to an end, has caught something. */
function node(
  cwd: string,
  args: readonly string[],
  secondsMax: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, ...environment },
      timeout: secondsMax * 1000,
    })
    let output = ''
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-200_000)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (code) => {
      const seconds = (performance.now() - startedAt) / 1000
      if (code === null) output += '\ndoes not come to an end'
      resolve({ isCaught: code !== 0, seconds, output })
    })
  })
}

/** The first test that failed; and the invariant, if one was broken: it says more than the test that met it. */
export function failureIn(output: string): string | undefined {
  const [, test, invariant] = /FAIL +(.+)(?:\nInvariantViolated: (.+))?/.exec(output) ?? []
  if (test === undefined || invariant === undefined) return test?.slice(0, 120)
  return `${test}: ${invariant}`.slice(0, 200)
}

const lastLine = (text: string): string =>
  text.trim().split('\n').at(-1)?.trim().slice(0, 120) ?? ''
