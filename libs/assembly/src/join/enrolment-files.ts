import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { utf8 } from '@conclave/kernel'
import { z } from 'zod'
import { MasterAddress } from '../cluster/addresses.ts'
import { MemberFileUnusable } from '../cluster/member-files.ts'
import { writePrivately } from '../private-file.ts'

/** What a member that has joined knows beside its keys: `member.json` in its directory. Nothing in it is secret. */
export const Enrolment = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(64),
  role: z.enum(['master', 'agent']),
  clusterId: z.string().min(1).max(64),
  /** A master's number in the Raft group. */
  nodeId: z.int().positive().optional(),
  /** The masters as they were when it joined. */
  masters: z.array(MasterAddress).readonly(),
})
export type Enrolment = Readonly<z.infer<typeof Enrolment>>

const fileOf = (directory: string): string => join(directory, 'member.json')

/** Undefined where nobody has joined. @throws MemberFileUnusable */
export async function loadEnrolment(directory: string): Promise<Enrolment | undefined> {
  let text: string
  try {
    text = await readFile(fileOf(directory), 'utf8')
  } catch (cause) {
    const { code } = cause as { code?: string }
    if (code === 'ENOENT') return undefined
    throw new MemberFileUnusable(fileOf(directory), `it cannot be read (${code})`, cause)
  }
  try {
    return Enrolment.parse(JSON.parse(text))
  } catch (cause) {
    throw new MemberFileUnusable(
      fileOf(directory),
      'it is damaged; restore it, or join anew',
      cause,
    )
  }
}

export const saveEnrolment = (directory: string, enrolment: Enrolment): Promise<void> =>
  writePrivately(fileOf(directory), utf8(`${JSON.stringify(enrolment, null, 2)}\n`))
