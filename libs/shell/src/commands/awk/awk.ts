import type { Program } from '../../invocation.ts'
import { ScriptFault } from '../../language/script-fault.ts'
import { leadingOptions } from '../arguments.ts'
import { parseAwk } from './parser.ts'
import { Run } from './run.ts'

/**
 * `awk` as POSIX has it, without pipes into and out of commands (`system` is there) and without a
 * record separator that is a regular expression. Those are refused where a script uses them.
 */
export const awk: Program = function* (invocation) {
  const { values, operands } = leadingOptions(invocation, 'F:v:f:', {
    'field-separator': 'F',
    assign: 'v',
    file: 'f',
  })
  const rest = [...operands]
  const sources: string[] = []
  for (const path of values.get('f') ?? []) {
    const input = invocation.openInput(path)
    try {
      sources.push(yield* invocation.readText(input))
    } finally {
      input.release()
    }
  }
  if (sources.length === 0) {
    const source = rest.shift()
    if (source === undefined) {
      throw new ScriptFault('usage: awk [-F fs][-v var=value][prog | -f progfile][file ...]', 2)
    }
    sources.push(source)
  }
  const run = new Run(invocation, parseAwk(sources.join('\n')), rest)
  const separator = values.get('F')?.at(-1)
  if (separator !== undefined) run.assign('FS', separator === 't' ? '\t' : separator)
  for (const assignment of values.get('v') ?? []) {
    const [, name, text = ''] = /^([A-Za-z_]\w*)=([^]*)$/.exec(assignment) ?? []
    if (name === undefined) throw new ScriptFault(`invalid -v argument: ${assignment}`, 2)
    run.assign(name, text)
  }
  return yield* run.whole()
}
