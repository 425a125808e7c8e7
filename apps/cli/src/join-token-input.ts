import { Redacted, wipe, type RedactedBytes } from '@conclave/kernel'
import { CommandFailed } from './failure.ts'
import { readInput } from './input.ts'
import { advise } from './output.ts'

/** Where a join token is to be read from. */
export interface JoinTokenOptions {
  /** A file, or `-` for standard input. */
  readonly tokenFile?: string
  /** The token itself. */
  readonly token?: string
}

/**
 * The token that somebody joins with, if they gave one. One on the command line is taken, and said to be
 * seen there. @throws CommandFailed when it is given twice
 */
export async function readJoinToken(
  { token, tokenFile }: JoinTokenOptions,
  warn: (text: string) => void = advise,
): Promise<RedactedBytes | undefined> {
  if (token !== undefined && tokenFile !== undefined) {
    throw new CommandFailed('usage', 'give --token-file or --token, not both')
  }
  if (token !== undefined) {
    warn('every user of this machine can see a token on the command line; use --token-file')
    return new Redacted(Buffer.from(token))
  }
  if (tokenFile === undefined) return undefined
  const bytes = await readInput(tokenFile)
  const trimmed = Uint8Array.from(bytes.subarray(0, endOf(bytes)))
  wipe(bytes)
  return new Redacted(trimmed)
}

/** Without the line's end that an editor or `echo` leaves. */
function endOf(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] ?? 0) <= 0x20) end--
  return end
}
