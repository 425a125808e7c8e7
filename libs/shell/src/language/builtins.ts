import type { ByteString } from '../byte-string.ts'
import { commands } from '../commands/index.ts'
import type { Program } from '../invocation.ts'
import type { Builtin } from './builtin.ts'
import { dot, evaluateText, exec, exit, leaveLoop, returnFrom } from './flow-builtins.ts'
import { background, foreground, jobs, kill, trap, wait } from './job-builtins.ts'
import { command, hash, type } from './lookup-builtins.ts'
import { getopts } from './getopts.ts'
import { changeDirectory, times, umask } from './process-builtins.ts'
import { read } from './read.ts'
import {
  alias,
  exportVariables,
  letVariables,
  local,
  readonlyVariables,
  set,
  shift,
  unalias,
  unset,
} from './variable-builtins.ts'

/** What POSIX calls special: a fault in one ends the shell, and assignments before one last. */
export const specialBuiltins: ReadonlyMap<ByteString, Builtin> = new Map<ByteString, Builtin>([
  [':', () => 0],
  ['.', dot],
  ['source', dot],
  ['break', leaveLoop('break')],
  ['continue', leaveLoop('continue')],
  ['eval', evaluateText],
  ['exec', exec],
  ['exit', exit],
  ['export', exportVariables],
  ['readonly', readonlyVariables],
  ['return', returnFrom],
  ['set', set],
  ['shift', shift],
  ['times', times],
  ['trap', trap],
  ['unset', unset],
])

/** The other commands that need the shell they run in. */
export const builtins: ReadonlyMap<ByteString, Builtin> = new Map<ByteString, Builtin>([
  ['alias', alias],
  ['bg', background],
  ['cd', changeDirectory],
  ['command', command],
  ['fg', foreground],
  ['getopts', getopts],
  ['hash', hash],
  ['jobs', jobs],
  ['kill', kill],
  ['let', letVariables],
  ['local', local],
  ['read', read],
  ['type', type],
  ['umask', umask],
  ['unalias', unalias],
  ['wait', wait],
])

const inProcessNames: readonly ByteString[] = [
  'true',
  'false',
  'echo',
  'printf',
  'test',
  '[',
  'pwd',
]

/** Programs that run inside the shell, because a process for each would be slow. */
export const shellPrograms: ReadonlyMap<ByteString, Program> = new Map(
  inProcessNames.flatMap((name) => {
    const program = commands.get(name)
    return program === undefined ? [] : [[name, program] as const]
  }),
)
