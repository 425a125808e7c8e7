import { derivedObjectId } from '@conclave/crypto'
import type { SecretPath } from '@conclave/model'
import type { KeyValue, LiveView } from '@conclave/store'
import { secretPrefix } from './secret-records.ts'

/** The id of the secret that was created at `path` in the revision `createRevision`. */
export const secretIdOf = (clusterId: string, path: string, createRevision: number): string =>
  derivedObjectId(clusterId, 'secret', path, String(createRevision))

/** Names that differ only in case are one to Docker's clients. Source: docker-swarm.md A6. */
export const foldedPath = (path: string): string => path.toLowerCase()

interface Known {
  readonly id: string
  readonly createRevision: number
}

/**
 * Finds secrets by what they are called elsewhere: by id, and by path without its case. Follows the
 * state, so that a lookup does not read every secret.
 */
export class SecretIndex {
  readonly #clusterId: string
  readonly #view: LiveView
  #ids = new Map<string, SecretPath>()
  #folded = new Map<string, readonly SecretPath[]>()
  #known = new Map<SecretPath, Known>()
  #isBuilt = false
  #changeCount = 0

  constructor(clusterId: string, view: LiveView) {
    this.#clusterId = clusterId
    this.#view = view
    view.onRestore(() => {
      this.#isBuilt = false
      this.#changeCount++
    })
    view.onBatch(({ events }) => {
      if (events.some(({ key }) => key.startsWith(secretPrefix))) this.#changeCount++
      if (!this.#isBuilt) return
      for (const event of events) {
        if (!event.key.startsWith(secretPrefix)) continue
        const path = event.key.slice(secretPrefix.length) as SecretPath
        if (event.type === 'put') this.#add(path, event.kv)
        else this.#remove(path)
      }
    })
  }

  /** Another number after each change of any secret: what was made of all of them holds until then. */
  get changeCount(): number {
    return this.#changeCount
  }

  byFoldedPath(path: string): readonly SecretPath[] {
    this.#build()
    return this.#folded.get(foldedPath(path)) ?? []
  }

  /** {@link secretIdOf} this cluster, which is not made again of what is known. */
  idOf(path: string, createRevision: number): string {
    const known = this.#known.get(path as SecretPath)
    return known?.createRevision === createRevision
      ? known.id
      : secretIdOf(this.#clusterId, path, createRevision)
  }

  byId(id: string): SecretPath | undefined {
    this.#build()
    return this.#ids.get(id)
  }

  /** Those whose id begins with `prefix`. */
  byIdPrefix(prefix: string): readonly SecretPath[] {
    this.#build()
    const found: SecretPath[] = []
    for (const [id, path] of this.#ids) if (id.startsWith(prefix)) found.push(path)
    return found
  }

  #build(): void {
    if (this.#isBuilt) return
    this.#ids = new Map()
    this.#folded = new Map()
    this.#known = new Map()
    for (const kv of this.#view.list(secretPrefix, { keysOnly: true }).kvs) {
      this.#add(kv.key.slice(secretPrefix.length) as SecretPath, kv)
    }
    this.#isBuilt = true
  }

  #add(path: SecretPath, { createRevision }: KeyValue): void {
    if (this.#known.get(path)?.createRevision === createRevision) return
    // Deleted and created anew in one revision: the old id is nobody's any more.
    this.#remove(path)
    const id = secretIdOf(this.#clusterId, path, createRevision)
    this.#known.set(path, { id, createRevision })
    this.#ids.set(id, path)
    const folded = foldedPath(path)
    const others = this.#folded.get(folded)
    this.#folded.set(folded, others === undefined ? [path] : [...others, path])
  }

  #remove(path: SecretPath): void {
    const known = this.#known.get(path)
    if (known === undefined) return
    this.#known.delete(path)
    this.#ids.delete(known.id)
    const folded = foldedPath(path)
    const others = this.#folded.get(folded)?.filter((one) => one !== path) ?? []
    if (others.length === 0) this.#folded.delete(folded)
    else this.#folded.set(folded, others)
  }
}
