import type { ByteString } from '../byte-string.ts'
import type { Task } from '../wait-set.ts'
import { ByteSet, wordBytes } from './byte-set.ts'

/** A regular expression as a tree. */
export type Pattern =
  | { readonly type: 'byte'; readonly code: number }
  | { readonly type: 'any' }
  | { readonly type: 'set'; readonly set: ByteSet }
  | { readonly type: 'sequence'; readonly nodes: readonly Pattern[] }
  | { readonly type: 'choice'; readonly nodes: readonly Pattern[] }
  | {
      readonly type: 'repeat'
      readonly node: Pattern
      readonly min: number
      readonly max: number
    }
  | { readonly type: 'group'; readonly index: number; readonly node: Pattern }
  | { readonly type: 'assert'; readonly kind: Assertion }

export type Assertion = 'start' | 'end' | 'word-edge' | 'not-word-edge' | 'word-start' | 'word-end'

/** Offsets in the text: `groups[2 * n]` up to `groups[2 * n + 1]` for group n, -1 where it took no part. */
export interface Match {
  readonly start: number
  readonly end: number
  readonly groups: readonly number[]
}

/** Too large once its counted repetitions are written out. */
export class RegexTooBig extends Error {}

type Instruction =
  | { readonly do: 'byte'; readonly code: number }
  | { readonly do: 'any' }
  | { readonly do: 'match' }
  | { readonly do: 'set'; readonly set: ByteSet }
  | { readonly do: 'split'; first: number; second: number }
  | { readonly do: 'jump'; to: number }
  | { readonly do: 'save'; readonly slot: number }
  | { readonly do: 'assert'; readonly kind: Assertion }

const instructionsMax = 10_000

/** How many thread steps are one tick of work. */
const workPerTick = 8_000

interface Thread {
  readonly at: number
  readonly start: number
  readonly groups: readonly number[]
}

const noGroups: readonly number[] = []

/**
 * A compiled regular expression, run as Thompson and Pike do: all possibilities walk through the text
 * together, so the time is text times pattern, whatever a user writes. It finds the leftmost match,
 * and of those the longest, as POSIX asks.
 */
export class Regex {
  readonly groupCount: number
  readonly #program: Instruction[] = []
  readonly #prefix: ByteString
  readonly #isLiteral: boolean
  readonly #startsAtLineStart: boolean
  readonly #needsGroups: boolean
  #work = 0

  constructor(pattern: Pattern, groupCount: number, ignoresCase: boolean, needsGroups = false) {
    this.groupCount = groupCount
    this.#needsGroups = needsGroups && groupCount > 0
    const nodes = pattern.type === 'sequence' ? pattern.nodes : [pattern]
    let prefix = ''
    if (!ignoresCase) {
      for (const node of nodes) {
        if (node.type !== 'byte') break
        prefix += String.fromCharCode(node.code)
      }
    }
    this.#prefix = prefix
    this.#isLiteral = prefix.length === nodes.length && prefix !== ''
    const [first] = nodes
    this.#startsAtLineStart = first?.type === 'assert' && first.kind === 'start'
    this.#compile(pattern, ignoresCase)
    this.#program.push({ do: 'match' })
  }

  /** The first match at or behind `from`. `^` only matches at the very start of the text. */
  *search(text: ByteString, from = 0): Task<Match | undefined> {
    if (this.#isLiteral) {
      const start = text.indexOf(this.#prefix, from)
      return start < 0 ? undefined : { start, end: start + this.#prefix.length, groups: noGroups }
    }
    if (this.#startsAtLineStart && from > 0) return undefined
    return yield* this.#simulate(text, from)
  }

  *#simulate(text: ByteString, from: number): Task<Match | undefined> {
    const seen = new Int32Array(this.#program.length).fill(-1)
    let current: Thread[] = []
    let best: Match | undefined
    for (let at = from; at <= text.length; at++) {
      if (current.length === 0) {
        if (best !== undefined || (this.#startsAtLineStart && at > 0)) break
        if (this.#prefix !== '') {
          const skipped = text.indexOf(this.#prefix, at)
          if (skipped < 0) break
          at = skipped
        }
      }
      const code = at < text.length ? text.charCodeAt(at) : -1
      // What reached this place so far comes first: it began further left.
      const arrived =
        best === undefined ? [...current, { at: 0, start: at, groups: noGroups }] : current
      const next: Thread[] = []
      for (const thread of arrived) {
        if (best !== undefined && thread.start > best.start) continue
        const found = this.#follow(thread, text, at, code, seen, next)
        if (found === undefined) continue
        if (best === undefined || found.start < best.start || at > best.end) {
          best = { start: found.start, end: at, groups: found.groups }
        }
      }
      this.#work += arrived.length + 1
      current = next
      if (this.#work > workPerTick) {
        this.#work = 0
        yield
      }
    }
    return best
  }

  /**
   * Follows a thread through everything that reads no byte, then over the byte at `at` into `next`.
   * `seen` holds where each instruction was last visited: once for each place is enough.
   */
  #follow(
    thread: Thread,
    text: ByteString,
    at: number,
    code: number,
    seen: Int32Array,
    next: Thread[],
  ): Thread | undefined {
    let found: Thread | undefined
    const open: Thread[] = [thread]
    for (let top = open.pop(); top !== undefined; top = open.pop()) {
      const { start } = top
      let { at: pc, groups } = top
      for (;;) {
        if (seen[pc] === at) break
        seen[pc] = at
        this.#work++
        const step = this.#program[pc]
        if (step === undefined) break
        if (step.do === 'jump') {
          pc = step.to
        } else if (step.do === 'split') {
          open.push({ at: step.second, start, groups })
          pc = step.first
        } else if (step.do === 'save') {
          if (this.#needsGroups) {
            const copy = groups.length === 0 ? this.#emptyGroups() : groups.slice()
            copy[step.slot] = at
            groups = copy
          }
          pc++
        } else if (step.do === 'assert') {
          if (!holds(step.kind, text, at)) break
          pc++
        } else if (step.do === 'match') {
          found ??= { at: pc, start, groups }
          break
        } else {
          if (code >= 0 && takes(step, code)) next.push({ at: pc + 1, start, groups })
          break
        }
      }
    }
    return found
  }

  #emptyGroups(): number[] {
    return Array.from({ length: 2 * this.groupCount + 2 }, () => -1)
  }

  #emit(instruction: Instruction): number {
    if (this.#program.length >= instructionsMax) throw new RegexTooBig()
    return this.#program.push(instruction) - 1
  }

  #compile(pattern: Pattern, ignoresCase: boolean): void {
    switch (pattern.type) {
      case 'byte': {
        if (!ignoresCase) {
          this.#emit({ do: 'byte', code: pattern.code })
          return
        }
        this.#emit({ do: 'set', set: new ByteSet().add(pattern.code).withBothCases() })
        return
      }
      case 'any':
        this.#emit({ do: 'any' })
        return
      case 'set':
        this.#emit({ do: 'set', set: ignoresCase ? pattern.set.withBothCases() : pattern.set })
        return
      case 'sequence':
        for (const node of pattern.nodes) this.#compile(node, ignoresCase)
        return
      case 'choice':
        this.#compileChoice(pattern.nodes, ignoresCase)
        return
      case 'repeat':
        this.#compileRepeat(pattern, ignoresCase)
        return
      case 'group':
        this.#emit({ do: 'save', slot: 2 * pattern.index })
        this.#compile(pattern.node, ignoresCase)
        this.#emit({ do: 'save', slot: 2 * pattern.index + 1 })
        return
      case 'assert':
        this.#emit({ do: 'assert', kind: pattern.kind })
    }
  }

  #compileChoice(nodes: readonly Pattern[], ignoresCase: boolean): void {
    const jumps: { to: number }[] = []
    for (const [index, node] of nodes.entries()) {
      if (index === nodes.length - 1) {
        this.#compile(node, ignoresCase)
        break
      }
      const split = { do: 'split' as const, first: 0, second: 0 }
      split.first = this.#emit(split) + 1
      this.#compile(node, ignoresCase)
      const jump = { do: 'jump' as const, to: 0 }
      split.second = this.#emit(jump) + 1
      jumps.push(jump)
    }
    for (const jump of jumps) jump.to = this.#program.length
  }

  #compileRepeat(
    { node, min, max }: Extract<Pattern, { type: 'repeat' }>,
    ignoresCase: boolean,
  ): void {
    for (let count = 0; count < min; count++) this.#compile(node, ignoresCase)
    if (max === Infinity) {
      const split = { do: 'split' as const, first: 0, second: 0 }
      const at = this.#emit(split)
      split.first = at + 1
      this.#compile(node, ignoresCase)
      this.#emit({ do: 'jump', to: at })
      split.second = this.#program.length
      return
    }
    const splits: { second: number }[] = []
    for (let count = min; count < max; count++) {
      const split = { do: 'split' as const, first: 0, second: 0 }
      split.first = this.#emit(split) + 1
      splits.push(split)
      this.#compile(node, ignoresCase)
    }
    for (const split of splits) split.second = this.#program.length
  }
}

const takes = (step: Extract<Instruction, { do: 'any' | 'byte' | 'set' }>, code: number): boolean =>
  step.do === 'any' || (step.do === 'byte' ? step.code === code : step.set.has(code))

function holds(kind: Assertion, text: ByteString, at: number): boolean {
  if (kind === 'start') return at === 0
  if (kind === 'end') return at === text.length
  const before = at > 0 && wordBytes.has(text.charCodeAt(at - 1))
  const behind = at < text.length && wordBytes.has(text.charCodeAt(at))
  if (kind === 'word-start') return !before && behind
  if (kind === 'word-end') return before && !behind
  return (before !== behind) === (kind === 'word-edge')
}
