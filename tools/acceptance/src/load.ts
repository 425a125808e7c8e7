import type { Conclave, Master } from './conclave.ts'

/**
 * Writers that store one numbered secret after the other, each by way of another master, and note
 * what was acknowledged: only that was promised.
 */
export class Load {
  readonly acknowledged = new Map<string, string>()
  readonly #cluster: Conclave
  readonly #writers: Promise<void>[]
  #isEnding = false
  #count = 0

  constructor(cluster: Conclave, folder: string, writers = 8) {
    this.#cluster = cluster
    this.#writers = Array.from({ length: writers }, (_, index) => this.#write(folder, index))
  }

  /** Resolves when no writer waits for an answer any more. */
  async end(): Promise<void> {
    this.#isEnding = true
    await Promise.all(this.#writers)
  }

  async #write(folder: string, writer: number): Promise<void> {
    const { masters } = this.#cluster.ready
    for (let turn = writer; !this.#isEnding; turn++) {
      const path = `${folder}/${this.#count++}`
      const value = `value of ${path}`
      const master = masters[turn % masters.length]
      if (master === undefined) return
      try {
        const { status } = await this.#cluster.ask(master, 'dcos', urlOf(path), {
          method: 'PUT',
          headers: { 'content-type': 'application/octet-stream' },
          body: Buffer.from(value),
        })
        if (status === 201) this.acknowledged.set(path, value)
      } catch {
        // Nobody answered, so nothing was promised. Not at once again: it may be gone for a while.
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
}

/** The paths of `expected` whose value is not what `master` answers. */
export async function missingFrom(
  cluster: Conclave,
  master: Master,
  expected: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const missing: string[] = []
  const queue = [...expected]
  const reader = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const [path, value] = next
      const { status, body } = await cluster.ask(master, 'dcos', urlOf(path))
      if (status !== 200 || Buffer.from(body).toString() !== value) missing.push(path)
    }
  }
  await Promise.all(Array.from({ length: 16 }, reader))
  return missing
}

const urlOf = (path: string): string => `/secrets/v1/secret/default/${path}`
