import { byteString, type ByteString } from '../byte-string.ts'
import { FileSystemError } from '../file-system.ts'
import { writeComplaint } from '../io.ts'
import type { Process } from '../kernel.ts'
import { exitCodeOfSignal, signal } from '../signals.ts'
import { WaitSet, type Task } from '../wait-set.ts'
import type { Interpreter } from './interpreter.ts'
import { parseProgram } from './parse.ts'
import type { Shell } from './shell.ts'

/** Whether a shell that was given no script talks with a person: POSIX sh, "interactive". */
export const isInteractive = ({ descriptions }: Process): boolean =>
  descriptions[0]?.terminal !== undefined && descriptions[2]?.terminal !== undefined

/**
 * Prompts, reads a command, runs it, until the input ends or somebody leaves. A fault costs the command, not
 * the shell, and so does `^C`.
 */
export function* runInteractive(interpreter: Interpreter): Task<void> {
  const { process, shell } = interpreter
  ;(process.ignored ??= new Set()).add(signal.quit).add(signal.term)
  ;(process.caught ??= new Set()).add(signal.int)
  shell.isInteractive = true
  let text = ''
  for (;;) {
    yield* writeComplaint(process, promptOf(shell, text === '' ? 'PS1' : 'PS2'))
    const line = yield* readTyped(process)
    if (line === 'interrupted') {
      text = ''
      shell.lastStatus = exitCodeOfSignal(signal.int)
      yield* writeComplaint(process, '\n')
      continue
    }
    const isEnd = line === ''
    if (isEnd && text === '') {
      yield* writeComplaint(process, '\n')
      return
    }
    text += line
    const parsed = parseProgram(text)
    if (parsed.isIncomplete && !isEnd) continue
    text = ''
    yield* interpreter.program(parsed, false)
    if (shell.leave === 'exit' && !shell.isFaulted) return
    shell.leave = undefined
    shell.isFaulted = false
    shell.loopDepth = 0
    shell.leaveLoops = 0
  }
}

/** What is in `PS1` of most images, and the escapes that are in it. Source: busybox ash. */
const prompts = { PS1: '\\w \\$ ', PS2: '> ' } as const

function promptOf(shell: Shell, name: keyof typeof prompts): ByteString {
  const { process } = shell
  const { users, hostname } = process.kernel.surroundings
  const { uid } = process.credentials
  const user = users.find((one) => one.uid === uid)
  const place = process.cwd === user?.home ? '~' : process.cwd
  const values: Readonly<Record<string, string>> = {
    w: place,
    W: place.slice(place.lastIndexOf('/') + 1) || '/',
    $: uid === 0 ? '#' : '$',
    h: hostname,
    u: user?.name ?? String(uid),
    n: '\n',
  }
  const pattern = shell.getVariable(name) ?? prompts[name]
  return pattern.replaceAll(/\\([wW$hun])/g, (_all, letter: string) => values[letter] ?? '')
}

/** A line, or none at the end; ended early by `^C`. */
function* readTyped(process: Process): Task<ByteString> {
  let text = ''
  for (;;) {
    if (process.pending.includes(signal.int)) {
      process.pending.length = 0
      return 'interrupted'
    }
    const description = process.descriptions[0]
    if (description === undefined) throw new FileSystemError('EBADF')
    const result = description.readLine()
    if (result instanceof WaitSet) {
      yield result
      continue
    }
    text += byteString(result)
    if (result.length === 0 || text.endsWith('\n')) return text
  }
}
