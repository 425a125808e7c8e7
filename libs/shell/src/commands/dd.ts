import { byteString, bytesOf, type ByteString } from '../byte-string.ts'
import { FileDescription, type Description } from '../description.ts'
import { FileSystemError } from '../file-system.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { writeAll } from '../io.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { readFully, writeInto } from './lines.ts'
import { magnitude } from './magnitude.ts'

const known = new Set([
  'if',
  'of',
  'bs',
  'ibs',
  'obs',
  'count',
  'skip',
  'seek',
  'conv',
  'status',
  'iflag',
  'oflag',
])

const conversions = new Set(['notrunc', 'fsync', 'fdatasync', 'sync', 'noerror', 'excl', 'nocreat'])

/** Blocks may not grow beyond what a machine may hold at once. */
function sizeOf(given: ReadonlyMap<string, ByteString>, name: string, absent: number): number {
  const text = given.get(name)
  if (text === undefined) return absent
  const [first = '', ...more] = text.split('x').map(magnitude)
  const size = more.reduce<number | undefined>(
    (product, one) => (product === undefined || one === undefined ? undefined : product * one),
    typeof first === 'number' ? first : undefined,
  )
  if (size === undefined) throw new ScriptFault(`invalid number: '${text}'`, 1)
  return size
}

export const dd: Program = function* (invocation) {
  const given = new Map<string, ByteString>()
  for (const arg of invocation.args) {
    const cut = arg.indexOf('=')
    const name = arg.slice(0, Math.max(0, cut))
    if (!known.has(name)) throw new ScriptFault(`unrecognized operand '${arg}'`, 1)
    given.set(name, arg.slice(cut + 1))
  }
  const words = (name: string): readonly string[] => given.get(name)?.split(',') ?? []
  for (const word of words('conv')) {
    if (!conversions.has(word)) throw new ScriptFault(`invalid conversion: '${word}'`, 1)
  }
  for (const word of words('iflag')) {
    if (word !== 'fullblock') throw new ScriptFault(`invalid input flag: '${word}'`, 1)
  }
  for (const word of words('oflag')) {
    if (word !== 'append') throw new ScriptFault(`invalid output flag: '${word}'`, 1)
  }
  const blockSize = sizeOf(given, 'bs', sizeOf(given, 'ibs', 512))
  if (blockSize === 0) throw new ScriptFault(`invalid number: '0'`, 1)
  if (blockSize > invocation.stringBytesMax) {
    throw new ScriptFault('memory exhausted by input buffer', 1)
  }
  const from = given.get('if')
  const input = from === undefined ? invocation.stdin.retain() : openInput(invocation, from)
  try {
    const output = openOutput(invocation, given, words, blockSize)
    try {
      const counts = yield* copy(invocation, input, output, {
        blockSize,
        count: sizeOf(given, 'count', Infinity),
        skip: sizeOf(given, 'skip', 0),
        pads: words('conv').includes('sync'),
        isFullBlock: words('iflag').includes('fullblock'),
      })
      yield* report(invocation, counts, given.get('status'))
      return counts.failed ? 1 : 0
    } finally {
      output?.release()
    }
  } finally {
    input.release()
  }
}

function openInput(invocation: Invocation, path: ByteString): Description {
  try {
    return invocation.files.open(path).retain()
  } catch (refusal) {
    throw new ScriptFault(`failed to open '${path}': ${complaint(refusal)}`, 1)
  }
}

function openOutput(
  invocation: Invocation,
  given: ReadonlyMap<string, ByteString>,
  words: (name: string) => readonly string[],
  blockSize: number,
): Description | undefined {
  const path = given.get('of')
  if (path === undefined) return undefined
  const seek = sizeOf(given, 'seek', 0) * sizeOf(given, 'obs', blockSize)
  const isAppended = words('oflag').includes('append')
  const truncates = !words('conv').includes('notrunc') && !isAppended
  try {
    const output = invocation.files.open(path, {
      write: true,
      create: !words('conv').includes('nocreat'),
      exclusive: words('conv').includes('excl'),
      truncate: truncates && seek === 0,
      append: isAppended,
    })
    if (output instanceof FileDescription && seek > 0) {
      if (truncates) output.handle.truncate(seek)
      output.offset = seek
    }
    return output.retain()
  } catch (refusal) {
    throw new ScriptFault(`failed to open '${path}': ${complaint(refusal)}`, 1)
  }
}

interface Counts {
  full: number
  partial: number
  sizeBytes: number
  failed: boolean
}

function* copy(
  invocation: Invocation,
  input: Description,
  output: Description | undefined,
  how: {
    readonly blockSize: number
    readonly count: number
    readonly skip: number
    readonly pads: boolean
    readonly isFullBlock: boolean
  },
): Task<Counts> {
  const { blockSize, count, skip, pads, isFullBlock } = how
  if (input instanceof FileDescription) input.offset += skip * blockSize
  else {
    for (let block = 0; block < skip; block++) {
      if ((yield* readFully(invocation, input, blockSize)).length < blockSize) break
    }
  }
  const counts: Counts = { full: 0, partial: 0, sizeBytes: 0, failed: false }
  while (counts.full + counts.partial < count) {
    const block =
      isFullBlock || input instanceof FileDescription
        ? yield* readFully(invocation, input, blockSize)
        : byteString(yield* invocation.read(input, blockSize))
    if (block === '') break
    if (block.length === blockSize) counts.full++
    else counts.partial++
    const text = pads ? block.padEnd(blockSize, '\0') : block
    try {
      if (output === undefined) yield* writeAll(invocation.process, 1, bytesOf(text))
      else yield* writeInto(output, bytesOf(text))
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      yield* invocation.complain(`error writing: ${complaint(refusal)}`)
      counts.failed = true
      break
    }
    counts.sizeBytes += text.length
    yield
  }
  return counts
}

function* report(
  invocation: Invocation,
  { full, partial, sizeBytes }: Counts,
  status: ByteString | undefined,
): Task<void> {
  if (status === 'none') return
  let text = `${full}+${partial} records in\n${full}+${partial} records out\n`
  if (status !== 'noxfer') text += `${sizeBytes} byte${sizeBytes === 1 ? '' : 's'} copied\n`
  yield* writeAll(invocation.process, 2, bytesOf(text))
}
