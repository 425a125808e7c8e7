import { FaultMalformed, formatFault, parseFault, type Planned } from './fault.ts'
import { isProfileName, type ProfileName } from './profiles.ts'
import { settingNames, type Setting } from './setting.ts'
import { simulate, type SimulationOptions, type Verdict } from './simulate.ts'

/** All that makes one run what it is. */
export interface HistoryFile {
  readonly seed: number
  readonly profile: ProfileName
  readonly setting: Partial<Setting>
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
    ...Object.entries(file.setting).map(([name, value]) => `setting ${name}=${value}`),
    ...file.plan.map((planned) => `fault ${formatFault(planned)}`),
    '',
  ].join('\n')
}

/** @throws FaultMalformed with what is wrong with which line */
export function parseHistoryFile(text: string): HistoryFile {
  const plan: Planned[] = []
  const fields = new Map<string, string>()
  const setting: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const content = line.replace(/#.*$/, '').trim()
    if (content === '') continue
    const [word = '', ...rest] = content.split(' ')
    if (word === 'fault') plan.push(parseFault(rest.join(' ')))
    else if (word === 'setting') Object.assign(setting, parseSetting(rest.join(' ')))
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
    setting,
    plan,
  }
}

function parseSetting(text: string): Record<string, number> {
  const [, name = '', value = ''] = /^(\w+)=(\d+)$/.exec(text) ?? []
  if (!settingNames.has(name)) {
    throw new FaultMalformed(`"setting ${text}": the form is name=number, and the name is known`)
  }
  return { [name]: Number(value) }
}

/** The run once more. */
export function replay(
  file: HistoryFile,
  options: Partial<SimulationOptions> = {},
): Promise<Verdict> {
  return simulate({ ...options, ...file })
}
