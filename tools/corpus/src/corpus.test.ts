import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
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

  test('CO1: without a script in it proves nothing', () => {
    mkdirSync(join(home, 'empty'))

    expect(run(join(home, 'empty')).exitCode).toBe(1)
  })

  test('is found where CONCLAVE_CORPUS says', () => {
    write('elsewhere/a.txt', won)

    expect(run(undefined, { CONCLAVE_CORPUS: join(home, 'elsewhere') }).text).toContain('agree 1')
  })
})
