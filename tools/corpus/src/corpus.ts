import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeReport, runCorpus, type CorpusFile } from '@conclave/raft/testing'

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
  /** Where each step of each member is written to, one JSON object a line. */
  readonly traceFile?: string | undefined
}

/** Where the corpus lies: as named, beside the repository, or where the environment says. */
export function corpusDirectory({ named, root, environment }: Places): string | undefined {
  if (named !== undefined) return named
  const beside = join(root, '../shared/corpora/etcd-raft')
  return existsSync(beside) ? beside : environment['CONCLAVE_CORPUS']
}

/**
 * Runs our own histories, unless a folder was named, and all the scripts in the corpus. Without a corpus
 * that was asked for, nothing is proved about it and nothing fails.
 */
export function runDirectory(places: Places): Outcome {
  const trace: string[] = []
  const run = (files: readonly CorpusFile[]) =>
    runCorpus(files, {
      ...(places.traceFile !== undefined && {
        trace: (path, line, event) => void trace.push(JSON.stringify({ path, line, ...event })),
      }),
    })
  const own = places.named === undefined ? runOwn(places.root, run) : undefined
  const others = runOthers(places, run)
  if (places.traceFile !== undefined) {
    writeFileSync(places.traceFile, trace.map((line) => `${line}\n`).join(''))
  }
  return {
    text: [...(own === undefined ? [] : [own.text]), others.text].join('\n'),
    exitCode: own?.exitCode === 1 ? 1 : others.exitCode,
  }
}

type Run = (files: readonly CorpusFile[]) => ReturnType<typeof runCorpus>

function runOwn(root: string, run: Run): Outcome | undefined {
  const directory = join(root, 'libs/raft/testdata')
  if (!existsSync(directory)) return undefined
  const report = run(scriptsIn(directory))
  return {
    text: `${describeReport(report)} of our own histories`,
    exitCode: report.differences.length === 0 ? 0 : 1,
  }
}

function runOthers(places: Places, run: Run): Outcome {
  const directory = corpusDirectory(places)
  if (directory === undefined || !existsSync(directory)) {
    const isWanted = places.named !== undefined
    const where = directory ?? '../shared/corpora/etcd-raft beside the repository'
    const mend = 'name its folder, or set CONCLAVE_CORPUS'
    return isWanted
      ? { text: `there is no folder ${where}`, exitCode: 1 }
      : { text: `skipped: there is no corpus in ${where}; ${mend}`, exitCode: 0 }
  }
  const files = scriptsIn(directory)
  if (files.length === 0) return { text: `there is no .txt file in ${directory}`, exitCode: 1 }

  const report = run(files)
  const { agreeCount, fileCount } = report
  return {
    text: `${describeReport(report)}\nagree ${agreeCount} of ${fileCount}`,
    exitCode: agreeCount === fileCount ? 0 : 1,
  }
}

const scriptsIn = (directory: string): readonly CorpusFile[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.txt'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(directory, path), 'utf8') }))
