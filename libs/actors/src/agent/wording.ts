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

export const killedBeforeStart = 'Killed before delivery to the executor'

/** As long as a field of an event or an error of a session may be. */
export const shortened = (text: string): string =>
  text.length > 1000 ? `${text.slice(0, 1000)}…` : text
