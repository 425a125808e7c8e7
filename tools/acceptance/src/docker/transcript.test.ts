import { expect, test } from 'vitest'
import { Naming, parseTranscript, transcriptText } from './transcript.ts'

const idA = 'icn3blr71cte7l1yjh3o8a18i'
const idB = '06n7itpjawb7d2rixqvqogyzg'
const valueA = '4678f395fba00034290b71e2d1232df1'

test('a transcript is read as it is written', () => {
  const text = '$ docker ps\nCONTAINER ID\n$ false\n[1]\n$ true\n'
  expect(parseTranscript(text)).toEqual([
    { command: 'docker ps', printed: 'CONTAINER ID\n' },
    { command: 'false', printed: '[1]\n' },
    { command: 'true', printed: '' },
  ])
  expect(transcriptText(parseTranscript(text))).toBe(text)
})

test('the same id and value have the same name all the way, short or whole', () => {
  const naming = new Naming()
  expect(naming.name(`${idA}\n${idB}\n${idA}`)).toBe('<id 1>\n<id 2>\n<id 1>')
  expect(naming.name('06n7itpjawb7   my_test_app   replicated')).toBe(
    '<id 2>  my_test_app  replicated',
  )
  expect(naming.name('8fcf47a98194   eon01   Up 5 seconds   6 seconds ago')).toBe(
    '<container 1>  eon01  Up <time>  <time> ago',
  )
  expect(naming.name(`${valueA}\r\n`)).toBe('<value 1>\n')
  expect(naming.values).toEqual([valueA])
})

test('how long the CLI waited is left out, and that it did not end well is not', () => {
  const waited = [
    idA,
    'overall progress: 0 out of 1 tasks',
    '1/1:  ',
    'overall progress: 0 out of 1 tasks',
    'overall progress: 1 out of 1 tasks',
    'verify: Waiting 5 seconds to verify that tasks are stable...',
    'overall progress: 1 out of 1 tasks',
    `verify: Service ${idA} converged`,
  ].join('\n')
  expect(new Naming().name(waited)).toBe(
    '<id 1>\noverall progress: 1 out of 1 tasks\nverify: Service converged',
  )
  const paused = 'service update paused: update paused due to failure of task x'
  expect(new Naming().name(paused)).toBe(paused)
})
