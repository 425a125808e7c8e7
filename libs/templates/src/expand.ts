import { Redacted, utf8, utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import { parseTemplate, type Operand, type Pipeline } from './parse.ts'
import { shownName, TemplateInvalid } from './template-invalid.ts'

/** What fields lead to: a text, or more fields. */
export type Fields = { readonly [name: string]: string | Fields }

/** What a template can name. Source: docker-swarm.md B5. */
export interface Scope {
  /** The fields of the context: `{Service: {ID, Name, Labels}, Node: …, Task: …}`. */
  readonly fields: Fields
  readonly functions: Readonly<Record<string, TemplateFunction>>
}

/**
 * Answers with bytes of its own or of others: whoever expands copies them and wipes none.
 *
 * @throws TemplateFunctionFailed in words that may be shown
 */
export type TemplateFunction = (name: string) => Uint8Array

/** A function could not answer. The message has no value in it. */
export class TemplateFunctionFailed extends Error {}

/** An expanded template may be no larger: a few bytes can name a large secret very often. */
const usualSizeBytesMax = 1_048_576

/**
 * `template` with its actions replaced by what they stand for. Fresh bytes, the caller's to wipe; so stays
 * the template.
 *
 * @throws TemplateInvalid
 */
export function expand(
  template: RedactedBytes,
  scope: Scope,
  sizeBytesMax = usualSizeBytesMax,
): RedactedBytes {
  const pieces: Uint8Array[] = []
  const made: Uint8Array[] = []
  let sizeBytes = 0
  try {
    for (const part of parseTemplate(template.reveal())) {
      const piece =
        part.is === 'text'
          ? part.bytes
          : printed(run(part.pipeline, { ...scope, line: part.line, made, sizeBytesMax }))
      sizeBytes += piece.length
      if (sizeBytes > sizeBytesMax) {
        throw tooLarge(part.is === 'text' ? 1 : part.line, sizeBytesMax)
      }
      pieces.push(piece)
    }
    const bytes = new Uint8Array(sizeBytes)
    let at = 0
    for (const piece of pieces) {
      bytes.set(piece, at)
      at += piece.length
    }
    return new Redacted(bytes)
  } finally {
    for (const bytes of made) wipe(bytes)
  }
}

/** As {@link expand}, for what is no secret. @throws TemplateInvalid */
export function expandText(text: string, scope: Scope): string {
  if (!text.includes('{{')) return text
  const expanded = expand(new Redacted(utf8(text)), scope)
  return utf8Text(expanded.reveal())
}

const tooLarge = (line: number, sizeBytesMax: number): TemplateInvalid =>
  new TemplateInvalid(line, `it becomes larger than ${sizeBytesMax} bytes`)

interface Running extends Scope {
  readonly line: number
  /** Of all that is made, too. */
  readonly sizeBytesMax: number
  /** What was put together on the way, to be wiped. */
  readonly made: Uint8Array[]
}

type Value = Uint8Array | Fields

function run(pipeline: Pipeline, scope: Running): Value {
  let value: Value | undefined
  for (const operand of pipeline) {
    if (value !== undefined && operand.is !== 'call') {
      throw new TemplateInvalid(scope.line, 'non executable command in pipeline')
    }
    value = valueOf(operand, scope, value)
  }
  return value ?? new Uint8Array(0)
}

function valueOf(operand: Operand, scope: Running, piped: Value | undefined): Value {
  switch (operand.is) {
    case 'text':
      return operand.bytes
    case 'field':
      return fieldOf(operand.names, scope)
    case 'pipeline':
      return run(operand.pipeline, scope)
    case 'call':
      break
  }
  const values = operand.operands.map((one) => valueOf(one, scope, undefined))
  return call(operand.name, piped === undefined ? values : [...values, piped], scope)
}

function fieldOf(names: readonly string[], { fields, line }: Running): Value {
  let value: string | Fields = fields
  for (const [depth, name] of names.entries()) {
    const found: string | Fields | undefined =
      typeof value !== 'string' && Object.hasOwn(value, name) ? value[name] : undefined
    if (found === undefined) {
      const chain = names.slice(0, depth + 1).map((one) => `.${one}`)
      const at = `executing "expansion" at <${shownName(chain.join(''))}>`
      throw new TemplateInvalid(line, `${at}: there is no ${shownName(name)}`)
    }
    value = found
  }
  return typeof value === 'string' ? utf8(value) : value
}

function call(name: string, values: readonly Value[], scope: Running): Value {
  const { line, made, functions } = scope
  if (name === 'join') {
    const [separator = new Uint8Array(0), ...texts] = values.map((one) => textIn(one, name, line))
    if (values.length === 0) throw wrongCount(line, name)
    const lengths = texts.map(({ length }) => length + separator.length)
    const sum = [...lengths, ...made.map(({ length }) => length)].reduce((a, b) => a + b, 0)
    if (sum > scope.sizeBytesMax) throw tooLarge(line, scope.sizeBytesMax)
    const joined = Buffer.concat(texts.flatMap((one, at) => (at === 0 ? [one] : [separator, one])))
    made.push(joined)
    return joined
  }
  if (name === 'index') {
    const [of, key] = values
    if (of === undefined || key === undefined || values.length !== 2) throw wrongCount(line, name)
    if (of instanceof Uint8Array) {
      throw new TemplateInvalid(line, 'error calling index: it is for labels alone')
    }
    const text = utf8Text(textIn(key, name, line))
    const found = Object.hasOwn(of, text) ? of[text] : ''
    return typeof found === 'string' ? utf8(found) : (found ?? {})
  }
  const known = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (known === undefined) {
    throw new TemplateInvalid(line, `function "${shownName(name)}" not defined`)
  }
  const [only] = values
  if (only === undefined || values.length !== 1) throw wrongCount(line, name)
  const asked = utf8Text(textIn(only, name, line))
  try {
    return known(asked)
  } catch (failure) {
    if (!(failure instanceof TemplateFunctionFailed)) throw failure
    const at = `executing "expansion" at <${name}>`
    throw new TemplateInvalid(line, `${at}: error calling ${name}: ${failure.message}`)
  }
}

const wrongCount = (line: number, name: string): TemplateInvalid =>
  new TemplateInvalid(line, `wrong number of args for ${name}`)

function textIn(value: Value, name: string, line: number): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new TemplateInvalid(line, `wrong type for value in ${name}; expected string`)
}

/** A map as Go prints it, in the order of its keys. */
function printed(value: Value): Uint8Array {
  return value instanceof Uint8Array ? value : utf8(mapText(value))
}

const mapText = (fields: Fields): string =>
  `map[${Object.entries(fields)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${typeof value === 'string' ? value : mapText(value)}`)
    .join(' ')}]`
