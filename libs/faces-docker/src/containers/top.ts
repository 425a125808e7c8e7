import type { Caller } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import type { Container } from './container.ts'
import { runIn } from './run-in.ts'

export interface Top {
  readonly Titles: readonly string[]
  readonly Processes: readonly (readonly string[])[]
}

const safeArguments = /^[\w ,=%+-]{0,256}$/
/** A column that would be called as the one that processes are found by. Source: moby, `validatePSArgs`. */
const called = /\s([^\s]*)=\s*(PID[^\s]*)/g

/** Says its own number first, and is `ps` from then on. */
const script = 'echo $$; exec ps "$@"'

/**
 * The processes in a container, by its own `ps`: to this machine simulated programs are no processes. The `ps`
 * itself is left out.
 *
 * @param psArgs as for ps, `-ef` unless it is said otherwise
 * @throws Refusal
 */
export async function topOf(
  engine: Engine,
  caller: Caller,
  container: Container,
  psArgs: string,
): Promise<Top> {
  if (!safeArguments.test(psArgs)) throw new Refusal(400, 'invalid ps_args')
  for (const [, column = '', name = ''] of ` ${psArgs}`.matchAll(called)) {
    if (column === 'pid') continue
    throw new Refusal(400, `specifying "${column}=${name}" is not allowed`)
  }
  const words = psArgs.split(' ').filter((word) => word !== '')
  const argv = ['sh', '-c', script, 'ps', ...words]
  const { stdout, stderr, exitCode, error } = await runIn(engine, caller, container, argv)
  if (exitCode !== 0) {
    const [why = ''] = stderr.split('\n', 1)
    throw new Refusal(500, `ps: ${why || (error ?? 'it failed')}`)
  }
  return tableOf(stdout)
}

function tableOf(text: string): Top {
  const [own = '', head = '', ...rows] = text.trimEnd().split('\n')
  const Titles = wordsIn(head)
  const at = Titles.indexOf('PID')
  if (at < 0) throw new Refusal(500, "Couldn't find PID field in ps output")
  return {
    Titles,
    Processes: rows.map((row) => fields(row, Titles.length)).filter((row) => row[at] !== own),
  }
}

const wordsIn = (line: string): readonly string[] => line.trim().split(/\s+/)

/** The last column may have blanks in it. */
function fields(row: string, count: number): readonly string[] {
  const all = wordsIn(row)
  return [...all.slice(0, count - 1), all.slice(count - 1).join(' ')]
}
