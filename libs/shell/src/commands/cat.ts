import { byteString, bytesOf, type ByteString } from '../byte-string.ts'
import type { Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { drain, allLines, eachLine } from './lines.ts'

const decorations = 'AbeEnstTuv'

/** `cat`. Without options the bytes pass through unseen, as far as a secret in them is concerned. */
export const cat: Program = (invocation) => {
  const { flags, operands } = invocation.options(decorations, {
    'show-all': 'A',
    number: 'n',
    'number-nonblank': 'b',
    'squeeze-blank': 's',
    'show-ends': 'E',
    'show-tabs': 'T',
    'show-nonprinting': 'v',
  })
  const has = (...letters: string[]): boolean => letters.some((letter) => flags.has(letter))
  if (flags.size === 0 || (flags.size === 1 && has('u'))) {
    return invocation.eachInput(operands, function* (input) {
      for (;;) {
        const bytes = yield* invocation.read(input)
        if (bytes.length === 0) return
        yield* invocation.write(bytes)
        yield
      }
    })
  }
  const numbersAll = has('n') && !has('b')
  const show = {
    ends: has('A', 'e', 'E'),
    tabs: has('A', 't', 'T'),
    controls: has('A', 'e', 't', 'v'),
  }
  let number = 0
  let blanks = 0
  return eachLine(invocation, operands, (line, isTerminated) => {
    blanks = line === '' ? blanks + 1 : 0
    if (has('s') && blanks > 1) return
    if (numbersAll || (has('b') && line !== '')) {
      number++
      invocation.put(`${String(number).padStart(6)}\t`)
    }
    invocation.put(shown(line, show))
    if (isTerminated) invocation.put(show.ends ? '$\n' : '\n')
  })
}

function shown(
  line: ByteString,
  { tabs, controls }: { readonly tabs: boolean; readonly controls: boolean },
): ByteString {
  if (!tabs && !controls) return line
  return line.replace(/[^ -~]/g, (character) => {
    if (character === '\t') return tabs ? '^I' : '\t'
    if (!controls) return character
    const code = character.charCodeAt(0)
    const low = code & 0x7f
    const name =
      low < 32 ? `^${String.fromCharCode(low + 64)}` : low === 127 ? '^?' : String.fromCharCode(low)
    return code >= 128 ? `M-${name}` : name
  })
}

export const tac: Program = function* (invocation) {
  const { operands } = invocation.options('')
  let status = 0
  for (const operand of operands.length === 0 ? ['-'] : operands) {
    const { lines, status: one } = yield* allLines(invocation, [operand])
    status = Math.max(status, one)
    for (const line of lines.toReversed()) {
      invocation.put(`${line}\n`)
      if (invocation.isFull) yield* drain(invocation)
    }
  }
  return status
}

export const rev: Program = (invocation) => {
  const { operands } = invocation.options('')
  return eachLine(invocation, operands, (line, isTerminated) => {
    const bytes = bytesOf(line).toReversed()
    invocation.put(byteString(bytes) + (isTerminated ? '\n' : ''))
  })
}

export const nl: Program = (invocation) => {
  const { values, operands } = invocation.options('b:w:s:v:i:n:', {
    'body-numbering': 'b',
    'number-width': 'w',
    'number-separator': 's',
    'starting-line-number': 'v',
    'line-increment': 'i',
    'number-format': 'n',
  })
  const style = values.get('b')?.at(-1) ?? 't'
  if (!['a', 't', 'n'].includes(style)) {
    throw new ScriptFault(`invalid body numbering style: '${style}'`, 1)
  }
  const format = values.get('n')?.at(-1) ?? 'rn'
  if (!['ln', 'rn', 'rz'].includes(format)) {
    throw new ScriptFault(`invalid line numbering format: '${format}'`, 1)
  }
  const width = count(values.get('w')?.at(-1) ?? '6')
  const separator = values.get('s')?.at(-1) ?? '\t'
  const increment = count(values.get('i')?.at(-1) ?? '1')
  let number = count(values.get('v')?.at(-1) ?? '1')
  return eachLine(invocation, operands, (line) => {
    if (style === 'n' || (style === 't' && line === '')) {
      invocation.put(`${' '.repeat(width + separator.length)}${line}\n`)
      return
    }
    const digits = String(number)
    const padded =
      format === 'ln' ? digits.padEnd(width) : digits.padStart(width, format === 'rz' ? '0' : ' ')
    invocation.put(`${padded}${separator}${line}\n`)
    number += increment
  })
}

function count(text: ByteString): number {
  if (!/^\d{1,4}$/.test(text)) throw new ScriptFault(`invalid number: '${text}'`, 1)
  return Number(text)
}

export const fold: Program = (invocation) => {
  const { flags, values, operands } = invocation.options('w:sb', {
    width: 'w',
    spaces: 's',
    bytes: 'b',
  })
  const text = values.get('w')?.at(-1) ?? '80'
  const width = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (width === 0) throw new ScriptFault(`invalid number of columns: '${text}'`, 1)
  return eachLine(invocation, operands, (line, isTerminated) => {
    let rest = line
    while (rest.length > width) {
      const space = flags.has('s') ? rest.lastIndexOf(' ', width - 1) : -1
      const cut = space < 0 ? width : space + 1
      invocation.put(`${rest.slice(0, cut)}\n`)
      rest = rest.slice(cut)
    }
    invocation.put(rest + (isTerminated ? '\n' : ''))
  })
}
