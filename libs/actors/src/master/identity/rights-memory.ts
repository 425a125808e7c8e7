const countMax = 4096

/**
 * What was found out about rights, for as long as nobody's rights change: the same caller asks for the
 * same with every request, and to find it out goes through several records.
 */
export class RightsMemory<T> {
  readonly #revision: () => number
  readonly #known = new Map<string, T>()
  #knownAt = -1

  /** @param revision of the last change of anybody's rights */
  constructor(revision: () => number) {
    this.#revision = revision
  }

  /** What `find` answered for `key`, or what it answers now if rights have changed since. */
  get(key: string, find: () => T): T {
    const revision = this.#revision()
    if (revision !== this.#knownAt || this.#known.size >= countMax) this.#known.clear()
    this.#knownAt = revision
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const found = find()
    this.#known.set(key, found)
    return found
  }
}
