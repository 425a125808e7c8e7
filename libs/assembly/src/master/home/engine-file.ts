import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConclaveError, utf8 } from '@conclave/kernel'
import { z } from 'zod'
import { writePrivately } from '../../private-file.ts'

/*
 * `engine.json` says that a master's state is in etcd, and where. Without it a master would found a second,
 * empty cluster when it is started with another engine than the last time.
 */

const EngineFile = z.object({ engine: z.literal('etcd'), prefix: z.string() })

/** A master was started in front of another store than the one that holds its state. */
export class EngineMismatch extends ConclaveError {
  readonly code = 'engine.mismatch'
}

const fileIn = (directory: string): string => join(directory, 'engine.json')

/**
 * @param prefix of the etcd that this start is given, if it is given one
 * @throws EngineMismatch when the master of this directory has its state elsewhere
 */
export async function checkEngine(directory: string, prefix: string | undefined): Promise<void> {
  const text = await readFile(fileIn(directory), 'utf8').catch((error: unknown) => {
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return
  const known = EngineFile.safeParse(parsed(text)).data
  if (known === undefined) {
    throw new EngineMismatch(`${fileIn(directory)} is damaged; it named the etcd of this master`)
  }
  if (known.prefix === prefix) return
  throw new EngineMismatch(
    prefix === undefined
      ? `the state of this master is in etcd, below ${known.prefix}: start it with --engine etcd://…${known.prefix}`
      : `the state of this master is in etcd below ${known.prefix}, and not below ${prefix}; if it was moved there, delete ${fileIn(directory)}`,
  )
}

export async function noteEngine(directory: string, prefix: string): Promise<void> {
  const text = `${JSON.stringify({ engine: 'etcd', prefix } satisfies z.infer<typeof EngineFile>)}\n`
  await writePrivately(fileIn(directory), utf8(text))
}

/** Whether this master kept a log of its own here. */
export async function hasJournal(directory: string): Promise<boolean> {
  return (await readdir(join(directory, 'journal')).catch(() => [])).length > 0
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
