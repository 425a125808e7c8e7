import { styleText } from 'node:util'

/** Rows under a header, padded to columns; widths count characters as a terminal shows them. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [line(header), ...rows.map(line)].map((text) => `${text}\n`).join('')
}

/** Text from outside, made harmless for a terminal: no control characters but the line's end. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}]/gu, (character) =>
    character === '\n'
      ? ' '
      : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )

export const bold = (text: string): string => styleText('bold', text, { stream: process.stdout })
export const dim = (text: string): string => styleText('dim', text, { stream: process.stdout })
export const green = (text: string): string => styleText('green', text, { stream: process.stdout })
export const red = (text: string): string => styleText('red', text, { stream: process.stdout })

export function print(text: string): void {
  process.stdout.write(text)
}

/** To whoever sits at the terminal, beside what a file or a pipe may be given. */
export const advise = (text: string): void => void process.stderr.write(`conclave: ${text}\n`)

export const printJson = (value: unknown): void => print(`${JSON.stringify(value, null, 2)}\n`)

/** How long ago, in the largest fitting unit: `42s`, `3m`, `5h`, `2d`. */
export function age(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - sinceMs) / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}
