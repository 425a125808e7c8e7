import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runDirectory } from './corpus.ts'

const won = 'vote cfg=(1,2) votes=(y,y)\n----\nVoteWon\n'
const wrong = 'vote cfg=(1,2) votes=(y,y)\n----\nVoteLost\n'

describe('a corpus', () => {
  let home: string
  let root: string

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'corpus-'))
    root = join(home, 'main')
    mkdirSync(root)
  })
  afterEach(() => rmSync(home, { recursive: true }))

  const write = (path: string, text: string): void => {
    mkdirSync(join(home, path, '..'), { recursive: true })
    writeFileSync(join(home, path), text)
  }
  const run = (named?: string, environment = {}) => runDirectory({ named, root, environment })

  test('CO1: that agrees ends with how many of how many', () => {
    write('shared/corpora/etcd-raft/quorum/a.txt', won)

    const { text, exitCode } = run()

    expect(text.split('\n').at(-1)).toBe('agree 1 of 1')
    expect(exitCode).toBe(0)
  })

  test('CO2: that differs says where, and what was expected and printed', () => {
    write('mine/a.txt', won)
    write('mine/b.txt', `# a comment\n\n${wrong}`)

    const { text, exitCode } = run(join(home, 'mine'))

    expect(text).toContain('b.txt:3: vote')
    expect(text).toMatch(/expected:\n +VoteLost\n +actual:\n +VoteWon/)
    expect(text.split('\n').at(-1)).toBe('agree 1 of 2')
    expect(exitCode).toBe(1)
  })

  test('CO1: that is not there is skipped, unless it was named', () => {
    expect(run()).toEqual({ text: expect.stringMatching(/^skipped: /), exitCode: 0 })
    expect(run(join(home, 'nowhere')).exitCode).toBe(1)
  })

  test('CO3: our own histories are run and counted too, unless a folder is named', () => {
    write('main/libs/raft/testdata/own.txt', wrong)
    write('shared/corpora/etcd-raft/a.txt', won)

    const { text, exitCode } = run()

    expect(text).toContain('own.txt:1: vote')
    expect(text).toContain('0 of 1 files agree, 0 of 1 directives of our own histories')
    expect(text.split('\n').at(-1)).toBe('agree 1 of 1')
    expect(exitCode).toBe(1)
    expect(run(join(home, 'shared/corpora/etcd-raft'))).toMatchObject({ exitCode: 0 })
  })

  test('CO4: a trace has one JSON object a line, with file, line and state', () => {
    write(
      'mine/a.txt',
      'add-nodes 1 voters=(1) index=2\n----\n\n\ncampaign 1\n----\n\nprocess-ready 1\n----\n',
    )
    const traceFile = join(home, 'trace.ndjson')

    runDirectory({ named: join(home, 'mine'), root, environment: {}, traceFile })

    const lines = readFileSync(traceFile, 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        path: 'a.txt',
        line: 1,
        name: 'Start',
        nid: 1,
        role: 'StateFollower',
        log: { index: 2, term: 1 },
      },
      { line: 8, name: 'Ready', role: 'StateCandidate', state: { term: 1, vote: 1, commit: 2 } },
    ])
  })

  test('CO1: without a script in it proves nothing', () => {
    mkdirSync(join(home, 'empty'))

    expect(run(join(home, 'empty')).exitCode).toBe(1)
  })

  test('is found where CONCLAVE_CORPUS says', () => {
    write('elsewhere/a.txt', won)

    expect(run(undefined, { CONCLAVE_CORPUS: join(home, 'elsewhere') }).text).toContain('agree 1')
  })
})
