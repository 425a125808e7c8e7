import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeReport, runCorpus } from '@conclave/raft/testing'

export interface Outcome {
  readonly text: string
  readonly exitCode: 0 | 1
}

export interface Places {
  /** The folder that was asked for, if any. */
  readonly named: string | undefined
  /** The root of this repository. */
  readonly root: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Where the corpus lies: as named, beside the repository, or where the environment says. */
export function corpusDirectory({ named, root, environment }: Places): string | undefined {
  if (named !== undefined) return named
  const beside = join(root, '../shared/corpora/etcd-raft')
  return existsSync(beside) ? beside : environment['CONCLAVE_CORPUS']
}

/** Runs all the scripts in the corpus. Without one that was asked for, nothing is proved and nothing fails. */
export function runDirectory(places: Places): Outcome {
  const directory = corpusDirectory(places)
  if (directory === undefined || !existsSync(directory)) {
    const isWanted = places.named !== undefined
    const where = directory ?? '../shared/corpora/etcd-raft beside the repository'
    const mend = 'name its folder, or set CONCLAVE_CORPUS'
    return isWanted
      ? { text: `there is no folder ${where}`, exitCode: 1 }
      : { text: `skipped: there is no corpus in ${where}; ${mend}`, exitCode: 0 }
  }
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.txt'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(directory, path), 'utf8') }))
  if (files.length === 0) return { text: `there is no .txt file in ${directory}`, exitCode: 1 }

  const report = runCorpus(files)
  const { agreeCount, fileCount } = report
  return {
    text: `${describeReport(report)}\nagree ${agreeCount} of ${fileCount}`,
    exitCode: agreeCount === fileCount ? 0 : 1,
  }
}
