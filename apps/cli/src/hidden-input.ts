import { CommandFailed } from './failure.ts'

const enter = new Set([0x0a, 0x0d])
const [interrupt, endOfInput, backspace, erase] = [0x03, 0x04, 0x08, 0x7f]
const lineSizeMax = 1024

/**
 * One line that a person types or pastes, without showing it; the caller wipes it. What was pasted
 * behind it is left for the next line. @throws CommandFailed when they give up
 */
export async function readHiddenLine(prompt: string): Promise<Buffer> {
  const { stdin, stderr } = process
  stderr.write(prompt)
  stdin.setRawMode(true)
  const line = new HiddenLine()
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        const end = line.take(chunk)
        if (end === undefined) return
        // Nothing may come while nobody listens.
        stdin.off('data', take).pause()
        if (end.rest.length > 0) stdin.unshift(end.rest)
        if (end.isGivenUp) reject(new CommandFailed('usage', 'nothing was typed'))
        else resolve(line.text())
      }
      stdin.on('data', take).resume()
    })
  } finally {
    line.wipe()
    stdin.setRawMode(false)
    stderr.write('\n')
  }
}

/** What a terminal in raw mode sends, until a line of it is whole. In one place, so that it can be wiped. */
export class HiddenLine {
  readonly #typed = Buffer.alloc(lineSizeMax)
  #size = 0

  /** Wipes the chunk. @returns how the line has ended, if it has, with a copy of what came behind it */
  take(chunk: Buffer): { readonly isGivenUp: boolean; readonly rest: Buffer } | undefined {
    try {
      for (const [at, byte] of chunk.entries()) {
        const isGivenUp = byte === interrupt || byte === endOfInput
        if (isGivenUp || enter.has(byte)) {
          return { isGivenUp, rest: Buffer.from(chunk.subarray(at + 1)) }
        }
        if (byte === backspace || byte === erase) this.#erase()
        // What is longer is no key, and stays none when it is cut.
        else if (this.#size < lineSizeMax) this.#typed[this.#size++] = byte
      }
      return undefined
    } finally {
      chunk.fill(0)
    }
  }

  /** A copy, the caller's to wipe. */
  text(): Buffer {
    return Buffer.from(this.#typed.subarray(0, this.#size))
  }

  wipe(): void {
    this.#typed.fill(0)
    this.#size = 0
  }

  /** One character, which may be several bytes. */
  #erase(): void {
    while (this.#size > 0 && isWithinCharacter(this.#typed[this.#size - 1])) this.#size--
    this.#size = Math.max(0, this.#size - 1)
  }
}

/** Of UTF-8: any byte but a character's first. */
const isWithinCharacter = (byte = 0): boolean => (byte & 0xc0) === 0x80
