import { TemplateInvalid } from './template-invalid.ts'
import { isSpace, tokensOf, type Token } from './token.ts'

/** What a pipeline is made of. Source: Go's text/template, the part that docker-swarm.md B5 names. */
export type Operand =
  | { readonly is: 'field'; readonly names: readonly string[] }
  | { readonly is: 'text'; readonly bytes: Uint8Array }
  | { readonly is: 'call'; readonly name: string; readonly operands: readonly Operand[] }
  | { readonly is: 'pipeline'; readonly pipeline: Pipeline }

/** Each operand is given to the call after it, as its last one. */
export type Pipeline = readonly Operand[]

export type Part =
  | { readonly is: 'text'; readonly bytes: Uint8Array }
  | { readonly is: 'action'; readonly pipeline: Pipeline; readonly line: number }

const open = 0x7b
const close = 0x7d
const dash = 0x2d
const slash = 0x2f
const star = 0x2a
const newline = 0x0a
const depthMax = 32

/**
 * The parts of a template, in order. Text parts are views of `template`.
 *
 * @throws TemplateInvalid
 */
export function parseTemplate(template: Uint8Array): readonly Part[] {
  const parts: Part[] = []
  let at = 0
  let line = 1
  let isTrimming = false
  while (at < template.length) {
    const begin = pairAt(template, open, at)
    const isAction = begin < template.length
    const isTrimmedAfter = isAction && template[begin + 2] === dash && isSpace(template[begin + 3])
    const text = trimmed(template.subarray(at, begin), isTrimming, isTrimmedAfter)
    if (text.length > 0) parts.push({ is: 'text', bytes: text })
    line += linesIn(template.subarray(at, begin))
    if (!isAction) break
    const from = begin + (isTrimmedAfter ? 3 : 2)
    const { end, isComment } = endOfAction(template, from, line)
    isTrimming = template[end - 1] === dash && isSpace(template[end - 2])
    const action = template.subarray(from, isTrimming ? end - 1 : end)
    if (!isComment) {
      parts.push({ is: 'action', pipeline: pipelineOf(tokensOf(action, line), line), line })
    }
    line += linesIn(action)
    at = end + 2
  }
  return parts
}

/** Where two of `byte` stand together, or the end. */
function pairAt(bytes: Uint8Array, byte: number, from: number): number {
  for (let at = bytes.indexOf(byte, from); at !== -1; at = bytes.indexOf(byte, at + 1)) {
    if (bytes[at + 1] === byte) return at
  }
  return bytes.length
}

const linesIn = (bytes: Uint8Array): number =>
  bytes.reduce((sum, byte) => sum + (byte === newline ? 1 : 0), 0)

function trimmed(text: Uint8Array, atStart: boolean, atEnd: boolean): Uint8Array {
  let from = 0
  let to = text.length
  if (atStart) while (from < to && isSpace(text[from])) from++
  if (atEnd) while (to > from && isSpace(text[to - 1])) to--
  return text.subarray(from, to)
}

/** Where the `}}` of an action is: not within its strings, nor within a comment. */
function endOfAction(
  template: Uint8Array,
  from: number,
  line: number,
): { readonly end: number; readonly isComment: boolean } {
  let start = from
  while (isSpace(template[start])) start++
  if (template[start] === slash && template[start + 1] === star) {
    for (let at = start + 2; at < template.length; at++) {
      if (template[at] !== star || template[at + 1] !== slash) continue
      let end = at + 2
      while (isSpace(template[end]) || (template[end] === dash && isSpace(template[end - 1]))) end++
      if (template[end] === close && template[end + 1] === close) return { end, isComment: true }
      throw new TemplateInvalid(line, 'comment ends before closing delimiter')
    }
    throw new TemplateInvalid(line, 'unclosed comment')
  }
  let mark: number | undefined
  for (let at = from; at < template.length; at++) {
    const byte = template[at]
    if (mark !== undefined) {
      if (byte === 0x5c && mark === 0x22) at++
      else if (byte === mark) mark = undefined
    } else if (byte === 0x22 || byte === 0x60) mark = byte
    else if (byte === close && template[at + 1] === close) return { end: at, isComment: false }
  }
  throw new TemplateInvalid(line, 'unclosed action')
}

/** Reads tokens one after the other; what is asked for next is at `at`. */
interface Reader {
  readonly tokens: readonly Token[]
  readonly line: number
  at: number
  depth: number
}

function pipelineOf(tokens: readonly Token[], line: number): Pipeline {
  const reader: Reader = { tokens, line, at: 0, depth: 0 }
  const pipeline = readPipeline(reader)
  if (reader.at < tokens.length) throw new TemplateInvalid(line, 'unexpected right paren')
  return pipeline
}

function readPipeline(reader: Reader): Pipeline {
  const commands = [readCommand(reader)]
  while (reader.tokens[reader.at]?.is === '|') {
    reader.at++
    commands.push(readCommand(reader))
  }
  return commands
}

function readCommand(reader: Reader): Operand {
  const operands: Operand[] = []
  for (;;) {
    const token = reader.tokens[reader.at]
    if (token === undefined || token.is === ')' || token.is === '|') break
    operands.push(readOperand(reader, token))
  }
  const [first, ...others] = operands
  if (first === undefined) throw new TemplateInvalid(reader.line, 'missing value for command')
  if (first.is === 'call') return { ...first, operands: others }
  if (others.length > 0) {
    throw new TemplateInvalid(reader.line, "can't give argument to non-function")
  }
  return first
}

/** What steers a template in Go, and has no place in this part of it. */
const keywords: ReadonlySet<string> = new Set([
  'if',
  'else',
  'end',
  'range',
  'with',
  'define',
  'template',
  'block',
  'break',
  'continue',
])

function readOperand(reader: Reader, token: Token): Operand {
  reader.at++
  switch (token.is) {
    case 'field':
    case 'text':
      return token
    case 'name':
      if (keywords.has(token.name)) {
        throw new TemplateInvalid(reader.line, `unexpected {{${token.name}}}: it is not supported`)
      }
      return { is: 'call', name: token.name, operands: [] }
    case '(':
      return readParenthesised(reader)
    case ')':
    case '|':
      break
  }
  throw new TemplateInvalid(reader.line, 'missing value for command')
}

function readParenthesised(reader: Reader): Operand {
  if (++reader.depth > depthMax) throw new TemplateInvalid(reader.line, 'nested too deep')
  const pipeline = readPipeline(reader)
  if (reader.tokens[reader.at]?.is !== ')') {
    throw new TemplateInvalid(reader.line, 'unclosed left paren')
  }
  reader.at++
  reader.depth--
  return { is: 'pipeline', pipeline }
}
