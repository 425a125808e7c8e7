import type { ByteString } from '../byte-string.ts'
import type { Description } from '../description.ts'
import type { Invocation } from '../invocation.ts'
import { environmentValue, type Process } from '../kernel.ts'

/**
 * Starts a program beside this one with its descriptors, or with another standard input. Answers with
 * why it cannot when there is no such program.
 */
export function startChild(
  invocation: Invocation,
  argv: readonly ByteString[],
  stdin?: Description,
): Process | string {
  const { process, programs, environment } = invocation
  const path = environment.get('PATH')
  const found = programs.resolve(
    process,
    argv,
    path === undefined ? undefined : environmentValue(path),
  )
  if (!found.isFound) return found.status === 127 ? 'No such file or directory' : found.why
  const descriptions = [...process.descriptions]
  if (stdin !== undefined) descriptions[0] = stdin
  return process.spawn({ argv, environment, descriptions }, found.run)
}
