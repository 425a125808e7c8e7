import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Recovered } from '@conclave/actors'
import { NodeDisk, type Journal } from '@conclave/journal'
import { ConclaveError, utf8 } from '@conclave/kernel'
import { beginAnew, type NodeId } from '@conclave/raft'
import { loadMember } from '../cluster/member-files.ts'
import { writePrivately } from '../private-file.ts'
import { readIfThere } from '../whole-on-disk.ts'

/** A master cannot go on by itself. Says why. */
export class BeginAnewRefused extends ConclaveError {
  readonly code = 'member.begin-anew-refused'
}

/**
 * Stands while a master of which the others are lost for good becomes a group of its own: from before its log says so
 * until the state says that the others were removed. A start that finds it does all of it again.
 */
const wishFile = (directory: string): string => join(directory, 'begin-anew.json')

/**
 * The master of this directory shall go on without the others, from its next start on. Nothing is done yet.
 *
 * @throws MemberFileUnusable
 */
export async function wishToBeginAnew(directory: string): Promise<string> {
  const { id: masterId } = await loadMember(directory, 'conclave-master')
  await writePrivately(wishFile(directory), utf8(`${JSON.stringify({ masterId })}\n`))
  return masterId
}

export const wantsToBeginAnew = async (directory: string): Promise<boolean> =>
  (await readIfThere(new NodeDisk(), wishFile(directory))) !== undefined

export const hasBegunAnew = (directory: string): Promise<void> =>
  rm(wishFile(directory), { force: true })

/** The log of a group of one: on the disk before anything is made of it. @throws BeginAnewRefused */
export async function aloneIn(
  journal: Journal,
  recovered: Recovered,
  self: NodeId,
): Promise<Recovered> {
  const batch = beginAnew(self, recovered)
  if (batch === undefined) {
    throw new BeginAnewRefused(
      'this master cannot go on without the others: its log is empty, since it was never let in, or in the middle of a change of two members',
    )
  }
  await journal.append(batch)
  return { ...recovered, ...batch, entries: [...recovered.entries, ...batch.entries] }
}
