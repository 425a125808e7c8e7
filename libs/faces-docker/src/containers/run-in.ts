import type { Caller } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import type { Container } from './container.ts'

export interface Run {
  /** Undefined when it was cut off, or lost. */
  readonly exitCode: number | undefined
  readonly error: string | undefined
  readonly stdout: string
  readonly stderr: string
}

const outputLengthMax = 1024 * 1024

/** Runs a small program in a container to its end, for an answer of ours. */
export async function runIn(
  engine: Engine,
  caller: Caller,
  { task }: Container,
  argv: readonly string[],
): Promise<Run> {
  const session = await engine.master.tasks.exec(caller, task.taskId, {
    argv,
    user: 'root',
    workdir: '/',
    mustStart: true,
  })
  session.endInput()
  const said = { stdout: '', stderr: '' }
  for await (const output of session.output()) {
    if (output.kind === 'end') return { ...said, exitCode: output.exitCode, error: output.error }
    said[output.stream] += Buffer.from(output.bytes).toString('utf8')
    if (said[output.stream].length > outputLengthMax) break
  }
  session.close()
  return { ...said, exitCode: undefined, error: 'it says too much' }
}
