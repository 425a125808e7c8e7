import { tokensIn } from './tokens.ts'

/**
 * Which of our ids a recorded one stands for. What one answer names, later requests ask for: so a recording
 * is replayed with ours in the place of its own.
 */
export class Identities {
  readonly #ours = new Map<string, string>()
  readonly #recorded = new Map<string, string>()
  /** Of `Version.Index`, as it was seen last. */
  readonly #versions = new Map<number, number>()
  readonly #places: readonly (readonly [string, string])[]

  /** @param places what a machine is told of itself that is so of the recorded one alone, and what of ours */
  constructor(places: readonly (readonly [recorded: string, ours: string])[] = []) {
    this.#places = places
  }

  /** @returns whether `ours` can be what `recorded` stands for: always the same one, and for nothing else */
  bind(recorded: string, ours: string): boolean {
    const known = this.#find(recorded)
    if (known !== undefined) return known === ours
    if (this.#recorded.has(ours)) return false
    this.#ours.set(recorded, ours)
    this.#recorded.set(ours, recorded)
    return true
  }

  /** For a comparison that is only tried. */
  copy(): Identities {
    const copy = new Identities(this.#places)
    for (const [recorded, ours] of this.#ours) copy.bind(recorded, ours)
    return copy
  }

  bindVersion(recorded: number, ours: number): void {
    this.#versions.set(recorded, ours)
  }

  /** A recorded request, with our ids and versions. What was never told is left as it is. */
  translate(text: string): string {
    const placed = this.#places.reduce((all, [from, to]) => all.replaceAll(from, to), text)
    const { fixed, tokens } = tokensIn(placed)
    const ours = tokens.map((token) => this.#find(token.text) ?? token.text)
    return fixed
      .map((part, at) => part + (ours[at] ?? ''))
      .join('')
      .replace(/(?<=[?&]version=)\d+/, (index) =>
        String(this.#versions.get(Number(index)) ?? index),
      )
  }

  /** Twelve digits mean the container whose id begins so. */
  #find(recorded: string): string | undefined {
    const known = this.#ours.get(recorded)
    if (known !== undefined || !/^[0-9a-f]{12}$/.test(recorded)) return known
    const whole = [...this.#ours.keys()].find((id) => id.length === 64 && id.startsWith(recorded))
    return whole === undefined ? undefined : this.#ours.get(whole)?.slice(0, 12)
  }
}
