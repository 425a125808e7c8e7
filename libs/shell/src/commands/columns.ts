import type { ByteString } from '../byte-string.ts'
import { LineReader, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { trimBlanks } from './ascii.ts'
import { drain, eachLine, linesOf } from './lines.ts'
import { unescape } from './printf.ts'

/** Positions from 1 on, both ends included. */
type Range = readonly [from: number, to: number]

/** Ranges in order, and those that touch made one. */
function ranges(list: ByteString, what: string): readonly Range[] {
  const given = list.split(/[, ]/).map((text): Range => {
    const match = /^(\d*)(?:(-)(\d*))?$/.exec(text)
    const [, low = '', dash = '', high = ''] = match ?? []
    if (match === null || (low === '' && high === '')) {
      throw new ScriptFault(`invalid ${what} value '${text}'`, 1)
    }
    const from = low === '' ? 1 : Number(low)
    const to = dash === '' ? from : high === '' ? Infinity : Number(high)
    if (from === 0) throw new ScriptFault(`${what}s are numbered from 1`, 1)
    if (to < from) throw new ScriptFault('invalid decreasing range', 1)
    return [from, to]
  })
  const merged: Range[] = []
  for (const [from, to] of given.toSorted(([one], [two]) => one - two)) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1]) {
      merged[merged.length - 1] = [last[0], Math.max(last[1], to)]
    } else merged.push([from, to])
  }
  return merged
}

const covers = (list: readonly Range[], position: number): boolean =>
  list.some(([from, to]) => position >= from && position <= to)

export const cut: Program = (invocation) => {
  const { flags, values, operands } = invocation.options('b:c:f:d:snCO:', {
    bytes: 'b',
    characters: 'c',
    fields: 'f',
    delimiter: 'd',
    'only-delimited': 's',
    complement: 'C',
    'output-delimiter': 'O',
  })
  const [kind, ...others] = ['b', 'c', 'f'].filter((letter) => values.has(letter))
  if (kind === undefined) {
    throw new ScriptFault('you must specify a list of bytes, characters, or fields', 1)
  }
  if (others.length > 0) throw new ScriptFault('only one type of list may be specified', 1)
  const list = ranges(
    values.get(kind)?.join(',') ?? '',
    kind === 'f' ? 'field' : 'byte/character position',
  )
  const isComplement = flags.has('C')
  const isWanted = (position: number): boolean => covers(list, position) !== isComplement
  const delimiter = values.get('d')?.at(-1) ?? '\t'
  if (delimiter.length > 1) throw new ScriptFault('the delimiter must be a single character', 1)
  if (values.has('d') && kind !== 'f') {
    throw new ScriptFault('an input delimiter may be specified only when operating on fields', 1)
  }
  const given = values.get('O')?.at(-1)
  return eachLine(invocation, operands, (line) => {
    if (kind !== 'f') {
      invocation.put(`${cutBytes(line, list, isComplement, given ?? '')}\n`)
      return
    }
    if (!line.includes(delimiter)) {
      if (!flags.has('s')) invocation.put(`${line}\n`)
      return
    }
    const fields = line.split(delimiter).filter((_, index) => isWanted(index + 1))
    invocation.put(`${fields.join(given ?? delimiter)}\n`)
  })
}

function cutBytes(
  line: ByteString,
  list: readonly Range[],
  isComplement: boolean,
  delimiter: ByteString,
): ByteString {
  const pieces: ByteString[] = []
  let behind = 0
  for (const [from, to] of list) {
    if (isComplement && from - 1 > behind) pieces.push(line.slice(behind, from - 1))
    if (!isComplement) pieces.push(line.slice(from - 1, to))
    behind = to
  }
  if (isComplement) pieces.push(line.slice(behind))
  return pieces.filter((piece) => piece !== '').join(delimiter)
}

export const paste: Program = (invocation) => {
  const { flags, values, operands } = invocation.options('d:s', { delimiters: 'd', serial: 's' })
  const text = (values.get('d')?.at(-1) ?? '\t').replaceAll(String.raw`\0`, '\0')
  // `\0` stands for nothing at all.
  const delimiters = Array.from(unescape(text, false).text, (one) => (one === '\0' ? '' : one))
  const between = (index: number): ByteString =>
    delimiters.length === 0 ? '' : (delimiters[index % delimiters.length] ?? '')
  return flags.has('s')
    ? pasteSerial(invocation, operands, between)
    : pasteParallel(invocation, operands.length === 0 ? ['-'] : operands, between)
}

function pasteSerial(
  invocation: Invocation,
  operands: readonly ByteString[],
  between: (index: number) => ByteString,
): Task<number> {
  return invocation.eachInput(operands, function* (input) {
    const lines = new LineReader(invocation, input)
    let count = 0
    for (;;) {
      const line = lines.take() ?? (yield* lines.more())
      if (line === undefined) break
      invocation.put((count === 0 ? '' : between(count - 1)) + line)
      count++
      if (invocation.isFull) yield* drain(invocation)
    }
    invocation.put('\n')
  })
}

function* pasteParallel(
  invocation: Invocation,
  operands: readonly ByteString[],
  between: (index: number) => ByteString,
): Task<number> {
  const inputs = operands.map((path) => ({ path, input: invocation.openInput(path) }))
  try {
    // One reader for all the `-`, which take turns.
    const shared = new Map<ByteString, LineReader>()
    const readers = inputs.map(({ path, input }) => {
      const reader =
        (path === '-' ? shared.get(path) : undefined) ?? new LineReader(invocation, input)
      if (path === '-') shared.set(path, reader)
      return reader
    })
    for (;;) {
      let row = ''
      let isAny = false
      for (const [index, reader] of readers.entries()) {
        const line = reader.take() ?? (yield* reader.more())
        if (line !== undefined) isAny = true
        row += (index === 0 ? '' : between(index - 1)) + (line ?? '')
      }
      if (!isAny) return 0
      invocation.put(`${row}\n`)
      if (invocation.isFull) yield* drain(invocation)
    }
  } finally {
    for (const { input } of inputs) input.release()
  }
}

export const comm: Program = function* (invocation) {
  const { flags, operands } = invocation.options('123')
  const [first, second, extra] = operands
  if (first === undefined || second === undefined) throw new ScriptFault('missing operand', 1)
  if (extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 1)
  const left = yield* linesOf(invocation, first)
  const right = yield* linesOf(invocation, second)
  const tabs = (column: number): ByteString =>
    ['1', '2']
      .slice(0, column)
      .filter((letter) => !flags.has(letter))
      .map(() => '\t')
      .join('')
  const indents = [tabs(0), tabs(1), tabs(2)]
  const put = (column: 0 | 1 | 2, line: ByteString): void => {
    if (!flags.has(String(column + 1))) invocation.put(`${indents[column] ?? ''}${line}\n`)
  }
  let at = 0
  let other = 0
  while (at < left.length || other < right.length) {
    const one = left[at]
    const two = right[other]
    if (two === undefined || (one !== undefined && one < two)) {
      put(0, one ?? '')
      at++
    } else if (one === undefined || one > two) {
      put(1, two)
      other++
    } else {
      put(2, one)
      at++
      other++
    }
    if (invocation.isFull) yield* drain(invocation)
  }
  return 0
}

export const join: Program = function* (invocation) {
  const { values, operands } = invocation.options('1:2:j:t:a:v:')
  const [first, second] = operands
  if (first === undefined || second === undefined) throw new ScriptFault('missing operand', 1)
  const separator = values.get('t')?.at(-1)
  const field = (letter: string): number => {
    const text = values.get(letter)?.at(-1) ?? values.get('j')?.at(-1) ?? '1'
    if (!/^[1-9]\d{0,5}$/.test(text)) throw new ScriptFault(`invalid field number: '${text}'`, 1)
    return Number(text) - 1
  }
  const split = (line: ByteString): ByteString[] =>
    separator === undefined ? trimBlanks(line).split(/[ \t]+/) : line.split(separator)
  const between = separator ?? ' '
  const rows = (lines: readonly ByteString[], key: number) =>
    lines.map((line) => {
      const fields = split(line)
      return { key: fields[key] ?? '', rest: fields.filter((_, index) => index !== key) }
    })
  const left = rows(yield* linesOf(invocation, first), field('1'))
  const right = rows(yield* linesOf(invocation, second), field('2'))
  const isShown = (side: string): boolean =>
    (values.get('a')?.includes(side) ?? false) || (values.get('v')?.includes(side) ?? false)
  const showsPairs = !values.has('v')
  const put = (...fields: readonly ByteString[]): void => {
    invocation.put(`${fields.join(between)}\n`)
  }
  let at = 0
  let other = 0
  while (at < left.length || other < right.length) {
    const one = left[at]
    const two = right[other]
    if (two === undefined || (one !== undefined && one.key < two.key)) {
      if (one !== undefined && isShown('1')) put(one.key, ...one.rest)
      at++
    } else if (one === undefined || one.key > two.key) {
      if (isShown('2')) put(two.key, ...two.rest)
      other++
    } else {
      let end = other
      while (right[end]?.key === one.key) end++
      for (; left[at]?.key === two.key; at++) {
        for (const match of right.slice(other, end)) {
          if (showsPairs) put(one.key, ...(left[at]?.rest ?? []), ...match.rest)
          if (invocation.isFull) yield* drain(invocation)
          yield
        }
      }
      other = end
    }
    if (invocation.isFull) yield* drain(invocation)
  }
  return 0
}
