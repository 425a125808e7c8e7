import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'

/*
 * The keys by which somebody at a terminal leaves a program that goes on. Clients look for them, too; who speaks
 * to the Engine itself has only this. Source: moby/term, `ascii.go` and `proxy.go`.
 */

/** `ctrl-p,ctrl-q`. */
export const usualDetachKeys: readonly number[] = [0x10, 0x11]

const named = new Map<string, number>([
  ['DEL', 0x7f],
  ...Array.from({ length: 0x20 }, (_none, code): [string, number] => [
    `ctrl-${String.fromCharCode(code + 0x40).toLowerCase()}`,
    code,
  ]),
])

/** `undefined` for what names no keys. */
export function detachKeysOf(text: string): readonly number[] | undefined {
  if (text === '') return usualDetachKeys
  const keys = text
    .split(',')
    .map((word) => named.get(word) ?? (/^[\x20-\x7f]$/.test(word) ? word.charCodeAt(0) : undefined))
  return keys.every((code) => code !== undefined) ? keys : undefined
}

/** @throws Refusal */
export function readDetachKeys(text: string): readonly number[] {
  const keys = detachKeysOf(text)
  if (keys !== undefined) return keys
  throw new Refusal(400, `Invalid detach keys (${printable(text)}) provided`)
}

/** Finds the keys in what is typed. The beginning of them is held back until the next key says what it was. */
export class DetachWatch {
  readonly #keys: readonly number[]
  #found = 0

  constructor(keys: readonly number[]) {
    this.#keys = keys
  }

  /** What goes on to the program; once all keys came one after the other, nothing of them or after them. */
  take(typed: Uint8Array): { readonly bytes: Uint8Array; readonly isDetached: boolean } {
    const passed: number[] = []
    for (const byte of typed) {
      if (byte === this.#keys[this.#found]) {
        if (++this.#found === this.#keys.length) {
          return { bytes: Uint8Array.from(passed), isDetached: true }
        }
        continue
      }
      passed.push(...this.#keys.slice(0, this.#found))
      this.#found = byte === this.#keys[0] ? 1 : 0
      if (this.#found === 0) passed.push(byte)
    }
    return { bytes: Uint8Array.from(passed), isDetached: false }
  }
}
