import { shownName, TemplateInvalid } from './template-invalid.ts'
import { isSpace, tokensOf, type Token } from './token.ts'

/** What a pipeline is made of. Source: Go's text/template; docker-swarm.md B5. */
export type Operand = {
  /** Where it stands in the template: of a command its beginning. */
  readonly at: number
} &
  /** Of the dot: the context, or what `with` and `range` have put in its place. */
  (
    | { readonly is: 'field'; readonly names: readonly string[] }
    | { readonly is: 'variable'; readonly name: string; readonly names: readonly string[] }
    | { readonly is: 'text'; readonly bytes: Uint8Array }
    | { readonly is: 'constant'; readonly value: number | boolean }
    | { readonly is: 'call'; readonly name: string; readonly operands: readonly Operand[] }
    | { readonly is: 'pipeline'; readonly pipeline: Pipeline }
  )

/** Each operand is given to the call after it, as its last one. */
export type Pipeline = readonly Operand[]

/** A pipeline whose value may be given to variables: one, or for `range` key and element. */
export interface Action {
  readonly pipeline: Pipeline
  readonly variables: readonly string[]
  /** They were there before: `=` rather than `:=`. */
  readonly isAssignment: boolean
  readonly line: number
}

export type Part =
  | { readonly is: 'text'; readonly bytes: Uint8Array }
  | ({ readonly is: 'action' } & Action)
  | ({
      readonly is: 'if' | 'with' | 'range'
      readonly parts: readonly Part[]
      readonly otherwise: readonly Part[]
    } & Action)
  | { readonly is: 'break' | 'continue'; readonly line: number }

const open = 0x7b
const close = 0x7d
const dash = 0x2d
const slash = 0x2f
const star = 0x2a
const newline = 0x0a
const depthMax = 32
/** Of blocks: an `else if` is in the one before it. */
const blockDepthMax = 100
/** That are known in one place: each time that one is named it is looked for among them. */
const knownVariablesMax = 1000

/** A template as it comes: texts, and what stands in braces, which may begin or end a block. */
type Piece =
  | { readonly is: 'text'; readonly bytes: Uint8Array }
  | { readonly is: 'action'; readonly tokens: readonly Token[]; readonly line: number }

/**
 * The parts of a template, in order, those of blocks within them. Texts are views of `template`.
 *
 * @throws TemplateInvalid
 */
export function parseTemplate(
  template: Uint8Array,
  isFunction: (name: string) => boolean,
): readonly Part[] {
  const { pieces, lines } = piecesOf(template)
  const blocks: Blocks = {
    pieces,
    lines,
    isFunction,
    at: 0,
    variables: ['$'],
    depth: 0,
    ranges: 0,
  }
  const { parts, end } = readParts(blocks)
  if (end !== undefined) throw new TemplateInvalid(end.line, `unexpected {{${end.keyword}}}`)
  return parts
}

function piecesOf(template: Uint8Array): {
  readonly pieces: readonly Piece[]
  readonly lines: number
} {
  const pieces: Piece[] = []
  let at = 0
  let line = 1
  let isTrimming = false
  while (at < template.length) {
    const begin = pairAt(template, open, at)
    const isAction = begin < template.length
    const isTrimmedAfter = isAction && template[begin + 2] === dash && isSpace(template[begin + 3])
    const text = trimmed(template.subarray(at, begin), isTrimming, isTrimmedAfter)
    if (text.length > 0) pieces.push({ is: 'text', bytes: text })
    line += linesIn(template.subarray(at, begin))
    if (!isAction) break
    const from = begin + (isTrimmedAfter ? 3 : 2)
    const { end, isComment } = endOfAction(template, from, line)
    isTrimming = template[end - 1] === dash && isSpace(template[end - 2])
    const action = template.subarray(from, isTrimming ? end - 1 : end)
    if (!isComment) pieces.push({ is: 'action', tokens: tokensOf(action, line, from), line })
    line += linesIn(action)
    at = end + 2
  }
  return { pieces, lines: line }
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

// ── blocks ──────────────────────────────────────────────────────────────────────────────────────

interface Blocks {
  readonly pieces: readonly Piece[]
  readonly lines: number
  readonly isFunction: (name: string) => boolean
  at: number
  /** Those that can be named here, the innermost last. */
  variables: string[]
  depth: number
  /** So many ranges are around. */
  ranges: number
}

/** What ends the parts of a block; an `else` may go on with another `if` or `with`. */
interface BlockEnd {
  readonly keyword: 'else' | 'end'
  readonly rest: readonly Token[]
  readonly line: number
}

/** Up to an `else` or `end`, which is handed back, or to the end of all. */
function readParts(blocks: Blocks): {
  readonly parts: readonly Part[]
  readonly end: BlockEnd | undefined
} {
  const parts: Part[] = []
  for (;;) {
    const piece = blocks.pieces[blocks.at++]
    if (piece === undefined) return { parts, end: undefined }
    if (piece.is === 'text') {
      parts.push(piece)
      continue
    }
    const { tokens, line } = piece
    const [first, ...rest] = tokens
    const keyword = first?.is === 'name' ? first.name : ''
    switch (keyword) {
      case 'else':
      case 'end':
        if (keyword === 'end' && rest.length > 0)
          throw new TemplateInvalid(line, 'unexpected in end')
        return { parts, end: { keyword, rest, line } }
      case 'if':
      case 'with':
      case 'range':
        parts.push(readBlock(blocks, keyword, rest, line))
        break
      case 'break':
      case 'continue':
        if (rest.length > 0) throw new TemplateInvalid(line, `unexpected in {{${keyword}}}`)
        if (blocks.ranges === 0) throw new TemplateInvalid(line, `{{${keyword}}} outside {{range}}`)
        parts.push({ is: keyword, line })
        break
      case 'define':
      case 'template':
      case 'block':
        throw new TemplateInvalid(line, `unexpected {{${keyword}}}: it is not supported`)
      default:
        parts.push({ is: 'action', ...actionOf(blocks, tokens, line, 1) })
    }
  }
}

function readBlock(
  blocks: Blocks,
  is: 'if' | 'with' | 'range',
  tokens: readonly Token[],
  line: number,
): Part {
  if (++blocks.depth > blockDepthMax) throw new TemplateInvalid(line, 'nested too deep')
  const outside = blocks.variables.length
  if (tokens.length === 0) throw new TemplateInvalid(line, `missing value for ${is}`)
  const action = actionOf(blocks, tokens, line, is === 'range' ? 2 : 1)
  const inRange = is === 'range' ? 1 : 0
  blocks.ranges += inRange
  const { parts, end } = readParts(blocks)
  blocks.ranges -= inRange
  const otherwise = readOtherwise(blocks, is, end)
  blocks.variables.length = outside
  blocks.depth--
  return { is, ...action, parts, otherwise }
}

/** What stands between `else` and `end`; an `else if` is an `if` that shares its `end`. */
function readOtherwise(
  blocks: Blocks,
  is: 'if' | 'with' | 'range',
  end: BlockEnd | undefined,
): readonly Part[] {
  if (end === undefined) throw new TemplateInvalid(blocks.lines, 'unexpected EOF')
  if (end.keyword === 'end') return []
  const [first, ...rest] = end.rest
  if (first !== undefined) {
    if (first.is === 'name' && first.name === is && is !== 'range') {
      return [readBlock(blocks, is, rest, end.line)]
    }
    throw new TemplateInvalid(end.line, 'unexpected in else')
  }
  const { parts, end: last } = readParts(blocks)
  if (last === undefined) throw new TemplateInvalid(blocks.lines, 'unexpected EOF')
  if (last.keyword === 'else') throw new TemplateInvalid(last.line, 'expected end; found {{else}}')
  return parts
}

// ── actions ─────────────────────────────────────────────────────────────────────────────────────

/** Reads tokens one after the other; what is asked for next is at `at`. */
interface Reader {
  readonly tokens: readonly Token[]
  readonly line: number
  readonly variables: readonly string[]
  readonly isFunction: (name: string) => boolean
  at: number
  depth: number
}

/** @param variablesMax how many variables its value may be given to */
function actionOf(
  blocks: Blocks,
  tokens: readonly Token[],
  line: number,
  variablesMax: number,
): Action {
  const { variables, isAssignment, from } = declarationIn(tokens, line, variablesMax)
  const { variables: named, isFunction } = blocks
  const reader: Reader = { tokens, line, variables: named, isFunction, at: from, depth: 0 }
  const pipeline = readPipeline(reader)
  if (reader.at < tokens.length) {
    const isParen = tokens[reader.at]?.is === ')'
    throw new TemplateInvalid(line, isParen ? 'unexpected right paren' : 'unexpected in operand')
  }
  if (isAssignment) for (const name of variables) demandVariable(reader, name)
  // Not before: what a variable is given cannot name it yet.
  else blocks.variables.push(...variables)
  if (named.length > knownVariablesMax) throw new TemplateInvalid(line, 'too many variables')
  return { pipeline, variables, isAssignment, line }
}

/** `$a :=`, `$a =`, and for a range `$a, $b :=`. */
function declarationIn(
  tokens: readonly Token[],
  line: number,
  variablesMax: number,
): {
  readonly variables: readonly string[]
  readonly isAssignment: boolean
  readonly from: number
} {
  const variables: string[] = []
  for (let at = 0; ; at += 2) {
    const token = tokens[at]
    const next = tokens[at + 1]?.is
    if (token?.is !== 'variable' || token.names.length > 0) break
    if (next !== ',' && next !== ':=' && next !== '=') break
    variables.push(token.name)
    if (next === ',') continue
    if (variables.length > variablesMax) {
      throw new TemplateInvalid(line, 'too many declarations')
    }
    return { variables, isAssignment: next === '=', from: at + 2 }
  }
  return { variables: [], isAssignment: false, from: 0 }
}

function demandVariable({ variables, line }: Reader, name: string): void {
  if (variables.includes(name)) return
  throw new TemplateInvalid(line, `undefined variable "${shownVariable(name)}"`)
}

const shownVariable = (name: string): string => `$${shownName(name.slice(1))}`

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

/** What steers a template, and has no place in a pipeline. */
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
    case 'variable':
      demandVariable(reader, token.name)
      return token
    case 'number':
      return { is: 'constant', at: token.at, value: token.value }
    case 'name':
      if (token.name === 'true' || token.name === 'false') {
        return { is: 'constant', at: token.at, value: token.name === 'true' }
      }
      if (token.name === 'nil') throw new TemplateInvalid(reader.line, 'nil is not a command')
      if (keywords.has(token.name)) {
        throw new TemplateInvalid(reader.line, `unexpected <${token.name}> in operand`)
      }
      if (!reader.isFunction(token.name)) {
        throw new TemplateInvalid(reader.line, `function "${shownName(token.name)}" not defined`)
      }
      return { is: 'call', at: token.at, name: token.name, operands: [] }
    case '(':
      return readParenthesised(reader, token.at)
    case ',':
    case '=':
    case ':=':
      throw new TemplateInvalid(reader.line, `unexpected "${token.is}" in operand`)
    case ')':
    case '|':
      break
  }
  throw new TemplateInvalid(reader.line, 'missing value for command')
}

function readParenthesised(reader: Reader, at: number): Operand {
  if (++reader.depth > depthMax) throw new TemplateInvalid(reader.line, 'nested too deep')
  const pipeline = readPipeline(reader)
  if (reader.tokens[reader.at]?.is !== ')') {
    throw new TemplateInvalid(reader.line, 'unclosed left paren')
  }
  reader.at++
  reader.depth--
  return { is: 'pipeline', at, pipeline }
}
