import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { LeftFiles, LeftPath } from '@conclave/actors'
import type { RedactedBytes } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import { AgentDirectoryUnusable } from './agent-directory.ts'

/**
 * What Mesos' `--work_dir` and `--runtime_dir` are below, in the directory of an agent that leaks. It is named
 * for what it is, so that whoever finds it knows, and all of it can be removed at once.
 */
export const leftDirectory = 'faithful-leaks'

/**
 * The files of an agent that leaks as Mesos does (docs/adr/0038), in plain text. They are unlinked when Mesos
 * unlinks them, and not overwritten, as there. What cannot be written is told in the log, by its place: so is what
 * would come to lie elsewhere by way of a link, where no start would remove it.
 */
export class LeftOnDisk implements LeftFiles {
  readonly #directory: string
  readonly #log: Log

  constructor(directory: string, log: Log) {
    this.#directory = join(directory, leftDirectory)
    this.#log = log
  }

  /**
   * Removes what an earlier life of the agent left, whatever this one is: nobody else would.
   *
   * @throws AgentDirectoryUnusable when it cannot: values would stay in plain text
   */
  static async removeAll(directory: string, log: Log): Promise<void> {
    const path = join(directory, leftDirectory)
    if (!isThere(path)) return
    try {
      // A link is removed, and not what it leads to.
      await rm(path, { recursive: true, force: true })
    } catch (cause) {
      const why = `${leftDirectory} holds values in plain text and cannot be removed; remove it`
      throw new AgentDirectoryUnusable(directory, why, cause)
    }
    log.warn({ path }, 'removed what an agent with faithful leaks had left on the disk')
  }

  write(at: LeftPath, bytes: RedactedBytes, mode: number): void {
    const path = this.#pathOf(at)
    if (path === undefined) return
    try {
      this.#demandNoLink(path)
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
      // New, or nobody's: nothing is written into what somebody else has put there.
      rmSync(path, { force: true })
      writeFileSync(path, bytes.reveal(), { mode, flag: 'wx' })
    } catch (error) {
      this.#log.warn({ at: at.join('/'), code: codeOf(error) }, 'a file could not be left')
    }
  }

  remove(at: LeftPath): void {
    const path = this.#pathOf(at)
    if (path === undefined) return
    try {
      this.#demandNoLink(path)
      rmSync(path, { recursive: true, force: true })
    } catch (error) {
      this.#log.warn({ at: at.join('/'), code: codeOf(error) }, 'a file could not be removed')
    }
  }

  /** Above the path, up to the agent's own directory: what leads there is its operator's choice. */
  #demandNoLink(path: string): void {
    const own = dirname(this.#directory)
    for (let above = dirname(path); above !== own; above = dirname(above)) {
      if (lstatSync(above, { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue
      throw Object.assign(new Error('it lies behind a link'), { code: 'ELOOP' })
    }
  }

  /** Ids are names that others chose: none of them leads anywhere. */
  #pathOf(at: LeftPath): string | undefined {
    if (at.length > 1 && at.every(isName)) return join(this.#directory, ...at)
    this.#log.warn({}, 'an id that is no name of a file: nothing of it is left')
    return undefined
  }
}

const isName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name)

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined

const codeOf = (error: unknown): unknown => (error as { readonly code?: unknown } | null)?.code
