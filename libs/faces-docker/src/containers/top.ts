import type { Caller } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import type { Container } from './container.ts'

export interface Top {
  readonly Titles: readonly string[]
  readonly Processes: readonly (readonly string[])[]
}

const outputBytesMax = 1024 * 1024
const safeArguments = /^[\w ,=%+-]{0,256}$/

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
  { task }: Container,
  psArgs: string,
): Promise<Top> {
  if (!safeArguments.test(psArgs)) throw new Refusal(400, 'invalid ps_args')
  const argv = ['ps', ...psArgs.split(' ').filter((word) => word !== '')]
  const session = await engine.master.tasks.exec(caller, task.taskId, {
    argv,
    user: 'root',
    workdir: '/',
    mustStart: true,
  })
  session.endInput()
  const said = { stdout: '', stderr: '' }
  for await (const output of session.output()) {
    if (output.kind === 'data') {
      said[output.stream] += Buffer.from(output.bytes).toString('utf8')
      if (said[output.stream].length > outputBytesMax) break
    } else if (output.exitCode !== 0) {
      throw new Refusal(500, `ps: ${said.stderr.trim() || (output.error ?? 'it failed')}`)
    }
  }
  return tableOf(said.stdout, argv.join(' '))
}

function tableOf(text: string, own: string): Top {
  const [head = '', ...rows] = text.trimEnd().split('\n')
  const Titles = words(head)
  if (!Titles.includes('PID')) {
    throw new Refusal(500, "Couldn't find PID field in ps output")
  }
  return {
    Titles,
    Processes: rows.map((row) => fields(row, Titles.length)).filter((row) => row.at(-1) !== own),
  }
}

const words = (line: string): readonly string[] => line.trim().split(/\s+/)

/** The last column may have blanks in it. */
function fields(row: string, count: number): readonly string[] {
  const all = words(row)
  return [...all.slice(0, count - 1), all.slice(count - 1).join(' ')]
}
