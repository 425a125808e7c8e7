import { SeededRandom } from '@conclave/testkit'
import { openJournal } from '../journal.ts'
import { entry, key } from './journal-fixture.ts'

/*
 * A process for tests to kill: it appends to a journal as fast as it can, and prints each index once
 * that is acknowledged.
 */

const [directory = '', from = '2'] = process.argv.slice(2)
const { journal } = await openJournal({
  directory,
  key: key(),
  clusterId: 'home',
  nodeId: 1,
  random: new SeededRandom(Number(from)),
  segmentSizeBytes: 64 * 1024,
})
for (let index = Number(from); ; index += 3) {
  await Promise.all(
    [0, 1, 2].map(async (offset) => {
      await journal.append({ entries: [entry(index + offset)] })
      process.stdout.write(`${index + offset}\n`)
    }),
  )
}
