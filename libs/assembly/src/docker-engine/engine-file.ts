import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { uuid, utf8, type Random } from '@conclave/kernel'
import { z } from 'zod'
import { MasterAddress } from '../cluster/addresses.ts'
import { forgetKekAtRest } from '../cluster/kek-at-rest.ts'
import { MemberFileUnusable } from '../cluster/member-files.ts'
import { writePrivately } from '../private-file.ts'

const part = z
  .string()
  .regex(/^(cluster\/masters\/master-1|cluster\/agents\/agent-1|member|agent|master-[0-9a-f]{8})$/)

/**
 * What an engine remembers of the swarm that it is in: `swarm.json` in its directory (docs/formats/engine.md).
 * Nothing in it is secret. Without the file it is in none.
 */
export const EngineFile = z.object({
  version: z.literal(1),
  /**
   * `beginning`: nobody counts on it yet, so a start undoes it. `leaving`: it is being undone. Either way
   * what is there is erased.
   */
  stage: z.enum(['beginning', 'member', 'leaving']),
  /** Where all of this membership is, below the engine's directory. Never used for another one. */
  directory: z.string().regex(/^swarm-[0-9a-f]{8}$/),
  how: z.enum(['founded', 'joined']),
  role: z.enum(['master', 'agent']),
  /**
   * Where its parts are below that directory, once its role has changed. With the role of an agent, what is of a
   * master is only beginning or being undone: a start erases it.
   */
  masterIn: part.optional(),
  agentIn: part.optional(),
  /** Where a master of an agent's machine shall listen, if it ever has one. */
  at: z.object({ host: z.string(), port: z.int().min(0).max(65_535).optional() }).optional(),
  /** Where its master listens, or did before it was demoted. */
  place: MasterAddress.optional(),
  /** The masters as they were known last. */
  masters: z.array(MasterAddress).readonly().optional(),
})
export type EngineFile = Readonly<z.infer<typeof EngineFile>>

const fileOf = (directory: string): string => join(directory, 'swarm.json')

export const newMembership = (random: Random, how: EngineFile['how']): EngineFile => ({
  version: 1,
  stage: 'beginning',
  directory: `swarm-${uuid(random).slice(0, 8)}`,
  how,
  role: 'master',
})

/** Undefined outside of any swarm. @throws MemberFileUnusable */
export async function loadEngineFile(directory: string): Promise<EngineFile | undefined> {
  const file = fileOf(directory)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    const { code } = cause as { code?: string }
    if (code === 'ENOENT') return undefined
    throw new MemberFileUnusable(file, `it cannot be read (${code})`, cause)
  }
  try {
    return EngineFile.parse(JSON.parse(text))
  } catch (cause) {
    const why = 'it is damaged; restore it, or remove it, and the engine is in no swarm'
    throw new MemberFileUnusable(file, why, cause)
  }
}

/** Whole or not at all, and there after a power failure once this resolves. */
export const saveEngineFile = (directory: string, kept: EngineFile): Promise<void> =>
  writePrivately(fileOf(directory), utf8(`${JSON.stringify(kept, null, 2)}\n`))

/** Where the master of a machine that has an agent will have its things. Never used for another one. */
export const newMasterDirectory = (random: Random): string => `master-${uuid(random).slice(0, 8)}`

/** Erases what was a master's, keys first. Done again it does no harm. */
export async function eraseMaster(masterDirectory: string): Promise<void> {
  await forgetKekAtRest(masterDirectory).catch(() => undefined)
  await rm(masterDirectory, { recursive: true, force: true })
}

/** Erases a membership, keys first, and only then forgets it: what broke off is done again. */
export async function eraseMembership(
  directory: string,
  kept: EngineFile,
  masterDirectory: string,
): Promise<void> {
  const own = join(directory, kept.directory)
  await forgetKekAtRest(masterDirectory).catch(() => undefined)
  await rm(own, { recursive: true, force: true })
  await rm(fileOf(directory), { force: true })
}
