/** Signals of Linux, by number. */
const names = [
  'EXIT',
  'HUP',
  'INT',
  'QUIT',
  'ILL',
  'TRAP',
  'ABRT',
  'BUS',
  'FPE',
  'KILL',
  'USR1',
  'SEGV',
  'USR2',
  'PIPE',
  'ALRM',
  'TERM',
  'STKFLT',
  'CHLD',
  'CONT',
  'STOP',
  'TSTP',
  'TTIN',
  'TTOU',
  'URG',
  'XCPU',
  'XFSZ',
  'VTALRM',
  'PROF',
  'WINCH',
  'IO',
  'PWR',
  'SYS',
] as const

/** A signal as `kill` and `trap` name it, without `SIG`. */
export type SignalName = Exclude<(typeof names)[number], 'EXIT'>

export const signal = {
  hup: 1,
  int: 2,
  quit: 3,
  abort: 6,
  kill: 9,
  pipe: 13,
  alarm: 14,
  term: 15,
  child: 17,
  continue: 18,
  stop: 19,
  windowChange: 28,
} as const

/** Every signal's number and name, in order. 0 is not one of them. */
export const signals: readonly (readonly [number, SignalName])[] = names
  .map((name, number) => [number, name] as const)
  .filter((entry): entry is readonly [number, SignalName] => entry[1] !== 'EXIT')

/** `TERM`, `SIGTERM`, `term` or `15` as 15; `EXIT` and `0` as 0; anything else as nothing. */
export function signalNumber(name: string): number | undefined {
  if (/^\d{1,2}$/.test(name)) return Number(name) < names.length ? Number(name) : undefined
  const upper = name.toUpperCase()
  const number = names.indexOf((upper.startsWith('SIG') ? upper.slice(3) : upper) as SignalName)
  return number < 0 ? undefined : number
}

export function signalName(number: number): SignalName | undefined {
  const name = names[number]
  return name === 'EXIT' ? undefined : name
}

/** The exit code of a process that died of a signal, as shells and container runtimes say it. */
export const exitCodeOfSignal = (number: number): number => 128 + number

/** What the rest of the world sends by its number becomes nothing when untrapped. */
export const ignoredByDefault: ReadonlySet<number> = new Set([17, 18, 23, 28])

/** Signals that stop a process until SIGCONT when untrapped. */
export const stopsByDefault: ReadonlySet<number> = new Set([19, 20, 21, 22])
