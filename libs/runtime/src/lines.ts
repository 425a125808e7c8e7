import { ConclaveError } from '@conclave/kernel'

/** A line longer than is kept in memory until it ends. */
export class LineTooLong extends ConclaveError {
  readonly code = 'line.too-long'

  constructor(sizeBytesMax: number) {
    super(`a line of more than ${sizeBytesMax} bytes`)
  }
}

const newline = 0x0a

/**
 * The lines of a stream as its chunks come, without their `\n`: newline-delimited JSON, logs. What
 * stands behind the last one is a line too, unless it is empty.
 *
 * @throws LineTooLong
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  sizeBytesMax = 16 * 1024 * 1024,
): AsyncGenerator<string> {
  let pieces: Uint8Array[] = []
  let size = 0
  const keep = (piece: Uint8Array): void => {
    size += piece.length
    if (size > sizeBytesMax) throw new LineTooLong(sizeBytesMax)
    if (piece.length > 0) pieces.push(piece)
  }
  const take = (): string => {
    const line = Buffer.concat(pieces).toString('utf8')
    pieces = []
    size = 0
    return line
  }
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      keep(chunk.subarray(from, end))
      yield take()
      from = end + 1
    }
    keep(chunk.subarray(from))
  }
  if (size > 0) yield take()
}
