import { Run, type Run as RunOf } from '@conclave/model'

/*
 * Runs in the store (docs/formats/records.md): the spec with its values sealed, and how it went.
 */

export const runPrefix = 'run/'
export const runKey = (runId: string): string => runPrefix + runId

export const RunRecord = Run
export type RunRecord = RunOf

/** `<name>.<run id>`: a task says which run it is of, and a person sees what it does. */
export const taskIdOf = (name: string, runId: string): string =>
  `${name.replaceAll(/[^\w-]+/g, '-').slice(0, 180) || 'run'}.${runId}`

/** The run that a task may be of. */
export const runIdOf = (taskId: string): string => taskId.slice(taskId.lastIndexOf('.') + 1)
