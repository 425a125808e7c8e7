import { ConclaveError } from '@conclave/kernel'
import { bold, dim, green, print, red } from '../output.ts'

/** A claim of the tour that did not hold. */
export class ClaimBroken extends ConclaveError {
  readonly code = 'claim.broken'
}

export interface Claim {
  readonly chapter: string
  readonly text: string
  readonly holds: boolean
  readonly evidence: string
}

/** What fits into most terminals; what is longer goes on in a line of its own. */
const columnsMax = 96

/** Tells the tour as it happens: chapters, lines, and claims that are checked before they are made. */
export class Story {
  readonly claims: Claim[] = []
  readonly #isAloud: boolean
  readonly #startedAt = performance.now()
  #chapters = 0
  #chapter = ''

  constructor(how: 'aloud' | 'silent') {
    this.#isAloud = how === 'aloud'
  }

  chapter(title: string): void {
    this.#chapter = title
    this.#chapters++
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1)
    this.#print(`\n${bold(`${this.#chapters}. ${title}`)} ${dim(`(${seconds} s)`)}\n`)
  }

  say(text: string): void {
    this.#print(`   ${text}\n`)
  }

  /** Prints the claim if it holds. @throws ClaimBroken if not */
  claim(text: string, holds: boolean, evidence = ''): void {
    this.claims.push({ chapter: this.#chapter, text, holds, evidence })
    const mark = holds ? green('✓') : red('✗')
    const isOneLine = 5 + text.length + 2 + evidence.length <= columnsMax
    const between = isOneLine ? '  ' : '\n       '
    this.#print(`   ${mark} ${text}${evidence === '' ? '' : dim(between + evidence)}\n`)
    if (!holds) throw new ClaimBroken(`${text}${evidence === '' ? '' : ` (${evidence})`}`)
  }

  #print(text: string): void {
    if (this.#isAloud) print(text)
  }
}
