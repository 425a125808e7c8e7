import { Redacted, type RedactedBytes } from '@conclave/kernel'
import { CommandFailed } from '../failure.ts'
import { readHiddenLine } from '../hidden-input.ts'
import { readInput } from '../input.ts'

const newline = 0x0a
const carriageReturn = 0x0d

/**
 * A passphrase from a file, from standard input, or typed. Never from an argument, where every process
 * could see it. A newline at its end is not part of it. The caller wipes it.
 *
 * @param file `-` for standard input; undefined to be asked, where somebody is there
 * @param isNew whether it is asked for twice
 */
export async function readPassphrase(
  file: string | undefined,
  isNew: boolean,
): Promise<RedactedBytes> {
  if (file !== undefined || !process.stdin.isTTY)
    return withoutNewline(await readInput(file ?? '-'))
  const typed = await readHiddenLine('Passphrase: ')
  if (!isNew) return new Redacted(typed)
  const again = await readHiddenLine('Again: ')
  const isSame = typed.equals(again)
  again.fill(0)
  if (isSame) return new Redacted(typed)
  typed.fill(0)
  throw new CommandFailed('usage', 'the two passphrases differ')
}

function withoutNewline(bytes: Buffer): RedactedBytes {
  let length = bytes.length
  if (bytes[length - 1] === newline) length--
  if (bytes[length - 1] === carriageReturn) length--
  const own = Uint8Array.from(bytes.subarray(0, length))
  bytes.fill(0)
  return new Redacted(own)
}
