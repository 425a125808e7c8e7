import { Redacted, type RedactedBytes } from '@conclave/kernel'
import { CommandFailed } from '../failure.ts'
import { readInput } from '../input.ts'

const newline = 0x0a
const carriageReturn = 0x0d
const backspaces: readonly number[] = [0x08, 0x7f]
const interrupt = 0x03

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
  const typed = await ask('Passphrase: ')
  if (!isNew) return typed
  const again = await ask('Again: ')
  if (Buffer.from(typed.reveal()).equals(again.reveal())) return typed
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

/** Asks on the terminal, which shows nothing of what is typed. */
function ask(question: string): Promise<RedactedBytes> {
  const { stdin, stderr } = process
  stderr.write(question)
  stdin.setRawMode(true)
  return new Promise((resolve, reject) => {
    const typed: number[] = []
    const end = (): void => {
      stdin.off('data', read)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
    }
    const read = (piece: Buffer): void => {
      for (const byte of piece) {
        if (byte === interrupt) {
          end()
          return reject(new CommandFailed('usage', 'no passphrase was given'))
        }
        if (byte === newline || byte === carriageReturn) {
          end()
          return resolve(new Redacted(Uint8Array.from(typed)))
        }
        if (backspaces.includes(byte)) typed.pop()
        else typed.push(byte)
      }
    }
    stdin.on('data', read)
    stdin.resume()
  })
}
