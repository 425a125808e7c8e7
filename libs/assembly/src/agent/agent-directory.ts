import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { writeFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ConclaveError } from '@conclave/kernel'
import { z } from 'zod'

/** What an agent kept on disk cannot be read. */
export class AgentDirectoryUnusable extends ConclaveError {
  readonly code = 'agent.directory-unusable'

  constructor(directory: string, why: string, cause?: unknown) {
    super(`the agent's directory ${directory} cannot be used: ${why}`, { cause })
  }
}

const idFile = 'agent.json'
const Kept = z.object({ agentId: z.string().min(1).max(255) })

/**
 * The one thing that an agent keeps: who it is. Containers live in memory, and nothing of a secret is
 * ever written here.
 */
export class AgentDirectory {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Makes the directory if need be, and removes what an interrupted write left. */
  static async open(path: string): Promise<AgentDirectory> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 })
      for (const name of await readdir(path)) {
        if (name === `${idFile}.new`) await rm(join(path, name))
      }
      return new AgentDirectory(path)
    } catch (cause) {
      throw new AgentDirectoryUnusable(path, 'make it writable, or name another', cause)
    }
  }

  async agentId(): Promise<string | undefined> {
    const text = await readFile(join(this.path, idFile), 'utf8').catch((error: unknown) => {
      if ((error as { code?: unknown }).code === 'ENOENT') return undefined
      throw new AgentDirectoryUnusable(this.path, `${idFile} cannot be read`, error)
    })
    if (text === undefined) return undefined
    try {
      return Kept.parse(JSON.parse(text)).agentId
    } catch (cause) {
      const why = `${idFile} is damaged; remove it, and the agent registers as a new one`
      throw new AgentDirectoryUnusable(this.path, why, cause)
    }
  }

  /**
   * Whole or not at all. Synchronous, so that no crash finds the agent known under an id that it does
   * not know itself.
   */
  keepAgentId(agentId: string | undefined): void {
    const file = join(this.path, idFile)
    if (agentId === undefined) return rmSync(file, { force: true })
    writeFileSync(`${file}.new`, `${JSON.stringify({ agentId })}\n`, { mode: 0o600, flush: true })
    renameSync(`${file}.new`, file)
  }
}
