import { formatUnlockKey, parseUnlockKey, UnlockKeyMalformed } from '@conclave/crypto'
import { Redacted, wipe, type RedactedBytes } from '@conclave/kernel'
import { ShareCollector, ShareRefused } from '@conclave/runtime'
import { CommandFailed } from './failure.ts'
import { readHiddenLine } from './hidden-input.ts'
import { readInput } from './input.ts'
import { advise } from './output.ts'

/** Where an unlock key comes from: a file, standard input for `-`, and the terminal if nothing is said. */
export interface UnlockInput {
  readonly file: string | undefined
  /** Shares of a key, one a line, rather than the key itself. */
  readonly isShared: boolean
}

/** The text of an unlock key, which the caller wipes. @throws CommandFailed when there is none */
export async function readUnlockKey({ file, isShared }: UnlockInput): Promise<RedactedBytes> {
  try {
    return isShared ? await keyOfShares(file) : await wholeKey(file)
  } catch (error) {
    if (!(error instanceof UnlockKeyMalformed)) throw error
    throw new CommandFailed('usage', `this is no unlock key: ${error.message}`, { cause: error })
  }
}

const isTyped = (file: string | undefined): boolean => file === undefined && process.stdin.isTTY

async function wholeKey(file: string | undefined): Promise<RedactedBytes> {
  const given = isTyped(file) ? await readHiddenLine('unlock key: ') : await readInput(file ?? '-')
  try {
    return formatted(parseUnlockKey(new Redacted(given)))
  } finally {
    given.fill(0)
  }
}

async function keyOfShares(file: string | undefined): Promise<RedactedBytes> {
  const collector = new ShareCollector()
  try {
    if (isTyped(file)) await typeShares(collector)
    else await readShares(file, collector)
    return formatted(await collector.combine())
  } finally {
    collector.wipe()
  }
}

/** Wipes the key. */
function formatted(unlockKey: RedactedBytes): RedactedBytes {
  try {
    return formatUnlockKey(unlockKey)
  } finally {
    wipe(unlockKey)
  }
}

/** Asks until there are enough: who mistypes one need not begin again. */
async function typeShares(collector: ShareCollector): Promise<void> {
  for (let given = 0; collector.missing > 0;) {
    const of = given === 0 ? '' : ` of ${collector.threshold}`
    const line = await readHiddenLine(`share ${given + 1}${of}: `)
    try {
      if (!isBlank(line)) {
        collector.add(new Redacted(line))
        given++
      }
    } catch (error) {
      if (!(error instanceof ShareRefused)) throw error
      advise(error.message)
    } finally {
      line.fill(0)
    }
  }
}

async function readShares(file: string | undefined, collector: ShareCollector): Promise<void> {
  const all = await readInput(file ?? '-')
  try {
    for (let start = 0; start < all.length && collector.missing > 0;) {
      const found = all.indexOf(0x0a, start)
      const end = found < 0 ? all.length : found
      const line = all.subarray(start, end)
      start = end + 1
      if (!isBlank(line)) collector.add(new Redacted(line))
    }
  } finally {
    all.fill(0)
  }
}

const isBlank = (line: Uint8Array): boolean => line.every((byte) => byte <= 0x20)
