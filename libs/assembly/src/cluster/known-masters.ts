import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MasterSeen } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { z } from 'zod'
import { writePrivately } from '../private-file.ts'
import { MasterAddress } from './addresses.ts'

/**
 * The masters as a member that is none of them last heard of them: `masters.json` in its directory, where
 * nothing is secret. Those that it was told of when it was set up may all have been replaced since.
 */
export class KnownMasters<Master> {
  readonly #file: string
  readonly #told: readonly Master[]
  #heard: readonly Master[]
  #last: Promise<void> = Promise.resolve()

  private constructor(file: string, told: readonly Master[], heard: readonly Master[]) {
    this.#file = file
    this.#told = told
    this.#heard = heard
  }

  /** A file that is missing or damaged says nothing: there is still what the member was told. */
  static async open<Master>(
    directory: string,
    told: readonly Master[],
    schema: z.ZodType<Master>,
  ): Promise<KnownMasters<Master>> {
    const file = join(directory, 'masters.json')
    const text = await readFile(file, 'utf8').catch(() => '')
    return new KnownMasters(file, told, mastersIn(text, schema))
  }

  /** Where it heard last that they are, then where they were at first. */
  get all(): readonly Master[] {
    const found = new Map([...this.#heard, ...this.#told].map((one) => [JSON.stringify(one), one]))
    return [...found.values()]
  }

  /** Resolves once that is on the disk. Nobody at all is no news: somebody has said so. */
  hear(masters: readonly Master[]): Promise<void> {
    if (masters.length === 0 || JSON.stringify(masters) === JSON.stringify(this.#heard)) {
      return this.#last
    }
    this.#heard = masters
    const write = (): Promise<void> =>
      writePrivately(this.#file, utf8(`${JSON.stringify({ masters }, null, 2)}\n`))
    this.#last = this.#last.catch(() => undefined).then(write)
    return this.#last
  }
}

/** A master as other members configure it, if it has said where it listens for them. */
export function addressSeen({
  masterId,
  nodeId,
  listeners,
}: MasterSeen): MasterAddress | undefined {
  const host = listeners['agents']?.host
  // Who speaks over Redis listens for no peer, and nobody looks at that number.
  const peers = listeners['peers'] ?? listeners['agents']
  const known = peers === undefined ? listeners : { ...listeners, peers }
  const ports = Object.fromEntries(Object.entries(known).map(([name, { port }]) => [name, port]))
  const faceHost = listeners['conclave']?.host
  const isApart = faceHost !== undefined && faceHost !== host
  return MasterAddress.safeParse({ masterId, nodeId, host, ...(isApart && { faceHost }), ports })
    .data
}

function mastersIn<Master>(text: string, schema: z.ZodType<Master>): readonly Master[] {
  try {
    return z.object({ masters: z.array(schema) }).safeParse(JSON.parse(text)).data?.masters ?? []
  } catch {
    return []
  }
}
