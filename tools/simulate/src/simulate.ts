import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  FaultMalformed,
  formatHistoryFile,
  isProfileName,
  parseHistoryFile,
  profileNames,
  replay,
  shrink,
  simulate,
  watchItSplit,
  type Parts,
  type ProfileName,
  type SimulationOptions,
  type Traced,
  type Verdict,
} from '@conclave/simulation'

export interface Surroundings {
  readonly print: (text: string) => void
  /** What members are made of, other than the live parts. */
  readonly parts?: Partial<Parts>
}

const usage = `npm run simulate -- [--seeds A..B] [--profile P] [--out DIR]
npm run simulate -- replay SEED|FILE [--profile P] [--trace] [--ndjson FILE]
npm run simulate -- shrink SEED|FILE [--profile P] [--out DIR]
npm run simulate -- naive [SEED]

Profiles: ${profileNames.join(', ')}; without one, each seed takes the next in turn.
  --out DIR      where histories of broken seeds are written (dist/simulation)
  --trace        prints what happened, line by line
  --ndjson FILE  writes it as data, one JSON object a line`

class Misuse extends Error {}

/** Does what the arguments say, and answers with the exit code. */
export async function main(args: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    return await obey(args, surroundings)
  } catch (error) {
    const isMisuse =
      error instanceof Misuse || error instanceof FaultMalformed || error instanceof TypeError
    if (!isMisuse) throw error
    surroundings.print(`simulate: ${error.message}\n\n${usage}`)
    return 2
  }
}

async function obey(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '1..30' },
      profile: { type: 'string' },
      out: { type: 'string', default: 'dist/simulation' },
      trace: { type: 'boolean', default: false },
      ndjson: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const { profile, out, trace, ndjson } = values
  if (values.help) {
    surroundings.print(usage)
    return 0
  }
  if (profile !== undefined && !isProfileName(profile)) {
    throw new Misuse(`there is no profile ${profile}`)
  }
  const [command, what] = positionals
  if (ndjson !== undefined && command !== 'replay') {
    throw new Misuse('--ndjson is of one run: replay a seed or a file')
  }
  if (command === undefined) {
    return runSeeds(readRange(values.seeds), { profile, out, ...surroundings })
  }
  if (command === 'naive') {
    if (!/^\d+$/.test(what ?? '1')) throw new Misuse('naive takes a seed, which is a number')
    for (const line of await watchItSplit(Number(what ?? 1))) surroundings.print(line)
    return 0
  }
  if (what === undefined) throw new Misuse(`${command} what? Name a seed or a file`)
  if (command === 'replay') {
    const verdict =
      ndjson === undefined
        ? await runOnce(what, profile, surroundings, trace)
        : await runInto(ndjson, (onTrace) => runOnce(what, profile, surroundings, trace, onTrace))
    if (trace) for (const line of verdict.trace) surroundings.print(line)
    surroundings.print(lineOf(verdict))
    return verdict.violation === undefined ? 0 : 1
  }
  if (command !== 'shrink') throw new Misuse(`there is no command ${command}`)
  const verdict = await runOnce(what, profile, surroundings, false)
  surroundings.print(lineOf(verdict))
  if (verdict.violation === undefined) return 0
  await keepSmaller(verdict, { out, ...surroundings })
  return 1
}

function readRange(text: string): { readonly from: number; readonly to: number } {
  const [, first = '', last = first] = /^(\d+)(?:\.\.(\d+))?$/.exec(text) ?? []
  if (first === '') throw new Misuse('--seeds takes a range such as 1..300')
  const range = { from: Number(first), to: Number(last) }
  if (range.from > range.to) throw new Misuse('--seeds takes a range that goes up, such as 1..300')
  return range
}

/** So that a range has all profiles, and a seed always the same one. */
const profileOf = (seed: number): ProfileName => profileNames[seed % profileNames.length] ?? 'mixed'

interface Many extends Surroundings {
  readonly profile: ProfileName | undefined
  readonly out: string
}

async function runSeeds(
  { from, to }: { readonly from: number; readonly to: number },
  { profile, out, print, parts }: Many,
): Promise<number> {
  const startedAt = performance.now()
  let broken = 0
  let events = 0
  let virtualMs = 0
  for (let seed = from; seed <= to; seed++) {
    const verdict = await simulate({
      seed,
      profile: profile ?? profileOf(seed),
      ...(parts && { parts }),
    })
    print(lineOf(verdict))
    events += verdict.counts.events
    virtualMs += verdict.counts.virtualMs
    if (verdict.violation === undefined) continue
    broken++
    await keepSmaller(verdict, { out, print, ...(parts && { parts }) })
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const hours = (virtualMs / 3_600_000).toFixed(2)
  print(
    `${to - from + 1} seeds, ${broken} broken, ${events} events, ${hours} hours of virtual time in ${seconds} s`,
  )
  return broken === 0 ? 0 : 1
}

async function runOnce(
  what: string,
  profile: ProfileName | undefined,
  { parts }: Surroundings,
  keepsTrace: boolean,
  onTrace?: (traced: Traced) => void,
): Promise<Verdict> {
  const options: Partial<SimulationOptions> = {
    keepsTrace,
    ...(onTrace && { onTrace }),
    isBlackBox: true,
    ...(parts && { parts }),
  }
  if (/^\d+$/.test(what)) {
    const seed = Number(what)
    return simulate({ ...options, seed, profile: profile ?? profileOf(seed) })
  }
  if (!existsSync(what)) throw new Misuse(`there is no file ${what}, and it is no seed`)
  return replay(parseHistoryFile(readFileSync(what, 'utf8')), options)
}

/** Runs something whose trace goes to a file as it comes, a few hundred lines at a time. */
async function runInto(
  path: string,
  run: (onTrace: (traced: Traced) => void) => Promise<Verdict>,
): Promise<Verdict> {
  const file = openSync(path, 'w')
  let lines: string[] = []
  const write = (): void => {
    writeFileSync(file, lines.join(''))
    lines = []
  }
  try {
    return await run((traced) => {
      if (lines.push(`${JSON.stringify(traced)}\n`) >= 500) write()
    })
  } finally {
    write()
    closeSync(file)
  }
}

async function keepSmaller(
  verdict: Verdict,
  { out, print, parts }: Surroundings & { readonly out: string },
): Promise<void> {
  const smaller = await shrink(verdict, { ...(parts && { parts }) })
  const text = formatHistoryFile(smaller.file, smaller.verdict.violation)
  mkdirSync(out, { recursive: true })
  const path = join(out, `${verdict.profile}-${verdict.seed}.txt`)
  writeFileSync(path, text)
  print(text.replace(/^/gm, '      ').trimEnd())
  print(
    `      ${verdict.plan.length} faults became ${smaller.file.plan.length} in ${smaller.runCount} runs: npm run simulate -- replay ${path}`,
  )
}

function lineOf({ seed, profile, violation, counts, traceHash }: Verdict): string {
  const { members, crashes, events, answered, operations, lost } = counts
  const facts = [
    `${members} members`,
    `${crashes} crashes`,
    ...(lost > 0 ? [`${lost} lost`] : []),
    `${events} events`,
    `${answered} of ${operations} answered`,
  ].join(', ')
  const head = `${String(seed).padStart(5)} ${profile.padEnd(8)}`
  return violation === undefined
    ? `${head} kept    ${facts}  ${traceHash.slice(0, 8)}`
    : `${head} BROKEN  ${violation.rule} after ${violation.atMs} ms: ${violation.what}`
}
