import type { VolumeFile } from '@conclave/model'
import type { ContainerExit } from './container-runtime.ts'

/*
 * What Mesos says in a task's status, word for word. Source: reference/mesos.md §5.4, §11.
 */

/** `strsignal` of glibc. */
const signalWords: Readonly<Record<string, string>> = {
  HUP: 'Hangup',
  INT: 'Interrupt',
  QUIT: 'Quit',
  ILL: 'Illegal instruction',
  TRAP: 'Trace/breakpoint trap',
  ABRT: 'Aborted',
  BUS: 'Bus error',
  FPE: 'Floating point exception',
  KILL: 'Killed',
  USR1: 'User defined signal 1',
  SEGV: 'Segmentation fault',
  USR2: 'User defined signal 2',
  PIPE: 'Broken pipe',
  ALRM: 'Alarm clock',
  TERM: 'Terminated',
}

export const exitMessage = ({ exitCode, signal }: ContainerExit): string =>
  signal === undefined
    ? `Command exited with status ${exitCode}`
    : `Command terminated with signal ${signalWords[signal] ?? signal}`

export const launchFailure = (why: string): string => `Failed to launch container: ${why}`

/** The prefix is of the future combinator that awaits all secrets of an isolator. */
export const collectFailure = (why: string): string => `Collect failed: ${why}`

/** What the Engine says of a file that it could not have. Source: docker-swarm.md B4, B5. */
export function fileFailure({ object }: VolumeFile, why: string): string {
  const what = object === 'CONFIG' ? 'config' : 'secret'
  return `unable to get ${what} from ${what} store: ${why}`
}

/** As above, of one that nobody gave out. The original says that it was not found, and nothing of why. */
export function unresolvedFile(
  file: VolumeFile,
  { outcome, why }: { readonly outcome: string; readonly why: string },
): string {
  const what = file.object === 'CONFIG' ? 'config' : 'secret'
  const known = fileFailure(file, `${what} ${file.object_id ?? ''} not found`)
  return outcome === 'not-found' ? known : `${known}: ${why}`
}

/** What the Engine says of a container of a service. */
export const startFailure = (why: string): string => `starting container failed: ${why}`

export const killedBeforeStart = 'Killed before delivery to the executor'

/** As long as a field of an event or an error of a session may be. */
export const shortened = (text: string): string =>
  text.length > 1000 ? `${text.slice(0, 1000)}…` : text
