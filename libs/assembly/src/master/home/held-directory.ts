import { join } from 'node:path'
import { NodeDisk } from '@conclave/journal'
import { hasJournal } from './engine-file.ts'

/**
 * Takes the directory of a master whose state is elsewhere for this process. A journal's lock keeps a
 * second master out of a directory that has one; here none is open, and two would break the audit log
 * that they both write. The journal that a migration left is taken as well: its master may still run.
 *
 * @returns what gives it free again; harmless when it is called again
 * @throws JournalLocked when a master runs there
 */
export async function holdDirectory(directory: string): Promise<() => Promise<void>> {
  const disk = new NodeDisk()
  const own = await disk.lock(directory)
  const journal = join(directory, 'journal')
  try {
    const left = (await hasJournal(directory)) ? await disk.lock(journal) : undefined
    let released: Promise<unknown> | undefined
    return async () => {
      released ??= Promise.all([own.release(), left?.release()])
      await released
    }
  } catch (error) {
    await own.release()
    throw error
  }
}
