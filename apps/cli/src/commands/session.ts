import { linesOf } from '@conclave/runtime'
import { z } from 'zod'
import type { HttpStream } from '@conclave/runtime'
import { CommandFailed } from '../failure.ts'

const SessionLine = z.union([
  z.object({ stream: z.enum(['stdout', 'stderr']), data: z.base64() }),
  z.object({ end: z.object({ exitCode: z.int().nullable(), error: z.string().nullable() }) }),
])

/** Copies what a container prints to this process's own streams. @returns the container's exit code */
export async function copyOutput({ body }: HttpStream): Promise<number> {
  for await (const text of linesOf(body)) {
    const line = SessionLine.parse(JSON.parse(text))
    if ('end' in line) {
      if (line.end.error !== null) throw new CommandFailed('failed', line.end.error)
      return line.end.exitCode ?? 0
    }
    const to = line.stream === 'stdout' ? process.stdout : process.stderr
    to.write(Buffer.from(line.data, 'base64'))
  }
  throw new CommandFailed('unavailable', 'the stream ended before the container did; try again')
}
