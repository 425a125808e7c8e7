import { readFile } from 'node:fs/promises'
import { CommandFailed } from './failure.ts'

/** All bytes of a file, or of standard input for `-`. The caller wipes them if they are secret. */
export async function readInput(file: string): Promise<Buffer> {
  if (file === '-') return readStandardInput()
  try {
    return await readFile(file)
  } catch (cause) {
    const { code = 'unreadable' } = cause as { code?: string }
    throw new CommandFailed('notFound', `${file} cannot be read (${code})`, { cause })
  }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  const whole = Buffer.concat(chunks)
  for (const chunk of chunks) chunk.fill(0)
  return whole
}
