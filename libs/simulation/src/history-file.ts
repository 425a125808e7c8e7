import { FaultMalformed, formatFault, parseFault, type Planned } from './fault.ts'
import { isProfileName, type ProfileName } from './profiles.ts'
import { simulate, type SimulationOptions, type Verdict } from './simulate.ts'

/** All that makes one run what it is. */
export interface HistoryFile {
  readonly seed: number
  readonly profile: ProfileName
  readonly clientCount: number
  readonly durationMs: number
  readonly plan: readonly Planned[]
}

/** A run as text, with what it broke, if it did, in its first line. `#` begins a comment. */
export function formatHistoryFile(file: HistoryFile, violation?: Verdict['violation']): string {
  const about =
    violation === undefined
      ? []
      : [`# ${violation.rule} after ${violation.atMs} ms: ${violation.what}`]
  return [
    ...about,
    `seed ${file.seed}`,
    `profile ${file.profile}`,
    `clients ${file.clientCount}`,
    `duration ${file.durationMs}`,
    ...file.plan.map((planned) => `fault ${formatFault(planned)}`),
    '',
  ].join('\n')
}

/** @throws FaultMalformed with what is wrong with which line */
export function parseHistoryFile(text: string): HistoryFile {
  const plan: Planned[] = []
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const content = line.replace(/#.*$/, '').trim()
    if (content === '') continue
    const [word = '', ...rest] = content.split(' ')
    if (word === 'fault') plan.push(parseFault(rest.join(' ')))
    else fields.set(word, rest.join(' '))
  }
  const number = (name: string): number => {
    const value = fields.get(name) ?? ''
    if (!/^\d+$/.test(value)) throw new FaultMalformed(`"${name}" is followed by a whole number`)
    return Number(value)
  }
  const profile = fields.get('profile') ?? ''
  if (!isProfileName(profile)) throw new FaultMalformed('"profile" is followed by a profile')
  return {
    seed: number('seed'),
    profile,
    clientCount: number('clients'),
    durationMs: number('duration'),
    plan,
  }
}

/** The run once more. */
export function replay(
  file: HistoryFile,
  options: Partial<SimulationOptions> = {},
): Promise<Verdict> {
  return simulate({ ...options, ...file })
}
