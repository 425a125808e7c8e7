import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type CorpusFile, type TraceEvent, rewriteScript, runCorpus } from './testing/index.ts'

const histories = fileURLToPath(new URL('../testdata', import.meta.url))
/** A copy of etcd-io/raft's data files, where it is said to lie or beside this repository. */
const foreign =
  process.env['CONCLAVE_CORPUS'] ??
  fileURLToPath(new URL('../../../../shared/corpora/etcd-raft', import.meta.url))
const isUpdating = process.env['UPDATE'] === '1'

const read = (directory: string): CorpusFile[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.txt'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(directory, path), 'utf8') }))

describe('RF14: our own histories', () => {
  test.each(read(histories))('$path reads as it was written down', ({ path, text }) => {
    if (isUpdating) writeFileSync(join(histories, path), rewriteScript(text))

    expect(
      runCorpus([{ path, text: isUpdating ? rewriteScript(text) : text }]).differences,
    ).toEqual([])
  })
})

/** Which promises of the paper a trace breaks. */
function brokenIn(events: readonly TraceEvent[]): readonly string[] {
  const broken: string[] = []
  const leaders = new Map<number, number>()
  const before = new Map<number, TraceEvent>()
  for (const event of events) {
    const { name, nid, role, state, applied, log } = event
    const leader = role === 'StateLeader' ? (leaders.get(state.term) ?? nid) : undefined
    if (leader !== undefined) leaders.set(state.term, leader)
    if (leader !== undefined && leader !== nid) broken.push(`two leaders in term ${state.term}`)
    // What is lost in a crash comes back with the start that follows.
    const last = name === 'Start' ? event : (before.get(nid) ?? event)
    before.set(nid, event)
    if (state.term < last.state.term) broken.push(`the term of ${nid} falls to ${state.term}`)
    if (state.commit < last.state.commit) broken.push(`the commit index of ${nid} falls`)
    if (applied > state.commit) broken.push(`${nid} applies what is not committed`)
    if (state.commit > log.index) broken.push(`${nid} calls committed what it does not have`)
  }
  return broken
}

describe('a trace of our own histories', () => {
  test.each(read(histories))('$path has one leader in a term, and nothing goes back', (file) => {
    const events: TraceEvent[] = []
    runCorpus([file], { trace: (_path, _line, event) => void events.push(event) })

    expect(events.length).toBeGreaterThan(0)
    expect(brokenIn(events)).toEqual([])
  })
})

// Data files of etcd-io/raft, which live outside of this repository.
describe.skipIf(!existsSync(foreign))('the data-driven tests of etcd-io/raft', () => {
  test('agree in every directive, log lines included', () => {
    const report = runCorpus(read(foreign))

    expect(report.differences).toEqual([])
    expect(report).toMatchObject({ fileCount: 41, agreeCount: 41, directiveCount: 743 })
  })
})
