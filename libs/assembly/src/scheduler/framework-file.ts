import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { utf8 } from '@conclave/kernel'
import { z } from 'zod'
import { writePrivately } from '../private-file.ts'

const FrameworkFile = z.object({ frameworkId: z.string().min(1).max(255) })

/**
 * What a scheduler must not forget: under which id its tasks run. Without it a scheduler that was
 * started again would be a new framework, and its old tasks would be nobody's.
 */
export class FrameworkMemory {
  readonly #file: string
  #frameworkId: string | undefined

  private constructor(file: string, frameworkId: string | undefined) {
    this.#file = file
    this.#frameworkId = frameworkId
  }

  /** A file that is missing or damaged is a framework's first start. */
  static async open(directory: string): Promise<FrameworkMemory> {
    const file = join(directory, 'framework.json')
    const text = await readFile(file, 'utf8').catch(() => '')
    return new FrameworkMemory(file, frameworkIdIn(text))
  }

  get frameworkId(): string | undefined {
    return this.#frameworkId
  }

  async keep(frameworkId: string): Promise<void> {
    if (frameworkId === this.#frameworkId) return
    this.#frameworkId = frameworkId
    await writePrivately(this.#file, utf8(`${JSON.stringify({ frameworkId })}\n`))
  }

  async forget(): Promise<void> {
    this.#frameworkId = undefined
    await rm(this.#file, { force: true })
  }
}

function frameworkIdIn(text: string): string | undefined {
  try {
    return FrameworkFile.safeParse(JSON.parse(text)).data?.frameworkId
  } catch {
    return undefined
  }
}
