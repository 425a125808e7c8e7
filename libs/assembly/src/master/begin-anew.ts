import { join } from 'node:path'
import type { Recovered } from '@conclave/actors'
import { NodeDisk, type Disk, type Journal } from '@conclave/journal'
import { ConclaveError, utf8 } from '@conclave/kernel'
import { beginAnew, type NodeId } from '@conclave/raft'
import { loadMember } from '../cluster/member-files.ts'
import { readIfThere, removeOn, writeWholeOn } from '../whole-on-disk.ts'

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
export async function wishToBeginAnew(
  directory: string,
  disk: Disk = new NodeDisk(),
): Promise<string> {
  const { id: masterId } = await loadMember(directory, 'conclave-master')
  await disk.makeDirectory(directory)
  await writeWholeOn(disk, wishFile(directory), utf8(`${JSON.stringify({ masterId })}\n`))
  return masterId
}

export const wantsToBeginAnew = async (directory: string, disk: Disk): Promise<boolean> =>
  (await readIfThere(disk, wishFile(directory))) !== undefined

/** Resolves once it is gone for good: a wish that came back would remove whoever has joined since. */
export const hasBegunAnew = (directory: string, disk: Disk): Promise<void> =>
  removeOn(disk, wishFile(directory))

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
