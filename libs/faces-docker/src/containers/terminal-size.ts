import type { TerminalSize } from '@conclave/model'
import { Refusal } from '../errors.ts'

export const sizeMax = 65_535

/** `h` and `w`. @throws Refusal */
export const readSize = (query: URLSearchParams): TerminalSize => ({
  rows: dimension(query.get('h')),
  columns: dimension(query.get('w')),
})

function dimension(asked: string | null): number {
  if (asked === null || !/^\d{1,5}$/.test(asked)) {
    throw new Refusal(400, `strconv.Atoi: parsing "${(asked ?? '').slice(0, 16)}": invalid syntax`)
  }
  return Math.min(Number(asked), sizeMax)
}
