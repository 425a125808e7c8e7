import { invariant, Redacted, utf8, utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import { builtins, CallInvalid, NoText, textIn, WrongCount } from './builtins.ts'
import { contextOf, lineAndColumn, placeOf, type Call } from './context.ts'
import { parseTemplate, type Action, type Operand, type Part, type Pipeline } from './parse.ts'
import { shownName, TemplateInvalid } from './template-invalid.ts'
import {
  entriesOf,
  isFields,
  isTrue,
  kindOf,
  ofField,
  printed,
  typeOf,
  type Fields,
  type Value,
} from './value.ts'

export type { Fields } from './value.ts'

/** What a template can name. Source: docker-swarm.md B5. */
export interface Scope {
  /** The fields of the context: `{Service: {ID, Name, Labels}, Node: …, Task: …}`. */
  readonly fields: Fields
  readonly functions: Readonly<Record<string, TemplateFunction>>
  /** What Go calls the types of the structures among the fields: all others are maps. */
  readonly structures?: ReadonlyMap<Fields, string>
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
/** Ranges in ranges go through very much, of which nothing has to be printed. */
const stepsMax = 100_000

/** How much may still be done: for one template, or for all that are expanded together. */
export class Steps {
  #left = stepsMax

  /** @throws TemplateInvalid */
  take(count: number, line: number): void {
    this.#left -= count
    if (this.#left >= 0) return
    throw new TemplateInvalid(line, `it takes more than ${stepsMax} steps`)
  }
}

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
  steps = new Steps(),
): RedactedBytes {
  const bytes = template.reveal()
  const run = new Run(bytes, scope, sizeBytesMax, steps)
  try {
    run.all(parseTemplate(bytes, isFunctionOf(scope)), scope.fields)
    return new Redacted(run.bytes())
  } finally {
    run.wipe()
  }
}

/** As {@link expand}, for what is no secret. @throws TemplateInvalid */
export function expandText(text: string, scope: Scope, steps = new Steps()): string {
  if (!text.includes('{{')) return text
  const expanded = expand(new Redacted(utf8(text)), scope, usualSizeBytesMax, steps)
  return utf8Text(expanded.reveal())
}

/** A function that is nowhere is found before anything is expanded, as in Go. */
const isFunctionOf =
  ({ functions }: Scope) =>
  (name: string): boolean =>
    name === 'and' ||
    name === 'or' ||
    Object.hasOwn(functions, name) ||
    Object.hasOwn(builtins, name)

/** How parts ended: a range looks whether it goes on. */
type Flow = 'on' | 'break' | 'continue'

/** One expansion: what was printed so far, and what is to be wiped after it. */
class Run {
  /** Only for where in it something stands. */
  readonly #template: Uint8Array
  readonly #scope: Scope
  readonly #sizeBytesMax: number
  readonly #pieces: Uint8Array[] = []
  /** What was put together on the way. */
  readonly #made: Uint8Array[] = []
  /** The innermost last; one may hide another of its name. */
  readonly #variables: { readonly name: string; value: Value }[]
  #sizeBytes = 0
  #madeBytes = 0
  readonly #steps: Steps

  constructor(template: Uint8Array, scope: Scope, sizeBytesMax: number, steps: Steps) {
    this.#steps = steps
    this.#template = template
    this.#scope = scope
    this.#sizeBytesMax = sizeBytesMax
    this.#variables = [{ name: '$', value: scope.fields }]
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#sizeBytes)
    let at = 0
    for (const piece of this.#pieces) {
      bytes.set(piece, at)
      at += piece.length
    }
    return bytes
  }

  wipe(): void {
    for (const bytes of this.#made) wipe(bytes)
  }

  all(parts: readonly Part[], dot: Value): Flow {
    for (const part of parts) {
      const flow = this.#one(part, dot)
      if (flow !== 'on') return flow
    }
    return 'on'
  }

  #one(part: Part, dot: Value): Flow {
    const line = part.is === 'text' ? 1 : part.line
    this.#steps.take(1, line)
    switch (part.is) {
      case 'text':
        this.#print(part.bytes, line)
        return 'on'
      case 'break':
      case 'continue':
        return part.is
      case 'action': {
        const value = this.#valueOf(part, dot)
        if (part.variables.length === 0) this.#print(printed(value), line)
        return 'on'
      }
      case 'range':
        return this.#inside(() => this.#range(part, dot))
      case 'if':
      case 'with':
      default:
        return this.#inside(() => {
          const value = this.#valueOf(part, dot)
          const inner = part.is === 'with' ? value : dot
          return isTrue(value) ? this.all(part.parts, inner) : this.all(part.otherwise, dot)
        })
    }
  }

  #range(part: Extract<Part, { readonly is: 'if' | 'with' | 'range' }>, dot: Value): Flow {
    const { pipeline, variables, isAssignment, line } = part
    const over = this.#pipeline(pipeline, dot, line)
    if (!isFields(over)) {
      // Go says the value, too.
      const last = pipeline.at(-1)
      throw this.#invalid(last, `range can't iterate over a ${kindOf(over)}`)
    }
    const entries = entriesOf(over)
    // Of which nothing may come, and which are put in order each time.
    this.#steps.take(entries.length, line)
    if (entries.length === 0) return this.all(part.otherwise, dot)
    for (const [key, element] of entries) {
      const value = ofField(element)
      // One variable is given the element, two the key and the element.
      const given = variables.length === 2 ? [utf8(key), value] : [value]
      const outside = this.#variables.length
      for (const [at, name] of variables.entries())
        this.#set(name, given[at] ?? value, isAssignment)
      const flow = this.all(part.parts, value)
      this.#variables.length = outside
      if (flow === 'break') break
    }
    return 'on'
  }

  /** Variables of a block end with it. */
  #inside(block: () => Flow): Flow {
    const outside = this.#variables.length
    const flow = block()
    this.#variables.length = outside
    return flow
  }

  #valueOf({ pipeline, variables, isAssignment, line }: Action, dot: Value): Value {
    const value = this.#pipeline(pipeline, dot, line)
    for (const name of variables) this.#set(name, value, isAssignment)
    return value
  }

  #set(name: string, value: Value, isAssignment: boolean): void {
    const known = this.#variables.findLast((one) => one.name === name)
    if (isAssignment && known !== undefined) known.value = value
    else this.#variables.push({ name, value })
  }

  #pipeline(pipeline: Pipeline, dot: Value, line: number): Value {
    let value: Value | undefined
    for (const operand of pipeline) {
      if (value !== undefined && operand.is !== 'call') {
        throw new TemplateInvalid(line, 'non executable command in pipeline')
      }
      value = this.#operand(operand, dot, line, value)
    }
    return value ?? new Uint8Array(0)
  }

  #operand(operand: Operand, dot: Value, line: number, piped?: Value): Value {
    switch (operand.is) {
      case 'text':
        return operand.bytes
      case 'constant':
        return operand.value
      case 'field':
        return this.#fieldOf(dot, operand)
      case 'variable': {
        const known = this.#variables.findLast(({ name }) => name === operand.name)
        return this.#fieldOf(known?.value ?? dot, operand)
      }
      case 'pipeline':
        return this.#pipeline(operand.pipeline, dot, line)
      case 'call':
        break
    }
    const { operands } = operand
    const values = operands.map((one) => () => this.#operand(one, dot, line))
    return this.#call(operand, piped === undefined ? values : [...values, () => piped], line)
  }

  #call(call: Call, given: readonly (() => Value)[], line: number): Value {
    const { name } = call
    try {
      if (name === 'and' || name === 'or') return chosen(name, given)
      if (Object.hasOwn(this.#scope.functions, name)) return this.#function(name, given)
      const values = given.map((value) => value())
      const builtin = builtins[name]
      invariant(builtin !== undefined, 'a function that is called is there')
      return builtin(values, {
        keep: (pieces) => this.#keep(pieces, line),
        note: (bytes) => this.#keep([bytes], line, bytes),
      })
    } catch (fault) {
      if (fault instanceof NoText) throw this.#noText(call, fault)
      // Go looks at the name before it looks at what is given.
      if (fault instanceof WrongCount) throw this.#invalid({ ...call, operands: [] }, fault.message)
      const isFailure = fault instanceof CallInvalid || fault instanceof TemplateFunctionFailed
      if (!isFailure) throw fault
      throw this.#invalid(call, `error calling ${name}: ${fault.message}`)
    }
  }

  #function(name: string, given: readonly (() => Value)[]): Uint8Array {
    const [only] = given
    if (only === undefined || given.length !== 1) throw new WrongCount(name, 1, given.length)
    const asked = utf8Text(textIn(only(), 0))
    return this.#scope.functions[name]?.(asked) ?? new Uint8Array(0)
  }

  #noText(call: Call, { place, value }: NoText): TemplateInvalid {
    // What came through a pipe is no operand.
    const operand = call.operands[place]
    if (operand?.is === 'constant') {
      return this.#invalid(operand, `expected string; found ${operand.value}`)
    }
    const type = typeOf(value, this.#scope.structures)
    return this.#invalid(operand ?? call, `wrong type for value; expected string; got ${type}`)
  }

  #fieldOf(of: Value, operand: Extract<Operand, { readonly is: 'field' | 'variable' }>): Value {
    let value = of
    for (const name of operand.names) {
      const found = isFields(value) && Object.hasOwn(value, name) ? value[name] : undefined
      if (found === undefined) throw this.#noField(operand, name, value)
      value = ofField(found)
    }
    return value
  }

  #noField(operand: Operand, name: string, of: Value): TemplateInvalid {
    const { structures } = this.#scope
    const isMap = isFields(of) && structures?.has(of) === false
    return this.#invalid(
      operand,
      isMap
        ? `map has no entry for key "${shownName(name)}"`
        : `can't evaluate field ${shownName(name)} in type ${typeOf(of, structures)}`,
    )
  }

  /** In Go's words: where it stands, and what stands there as far as it may be said. */
  #invalid(operand: Operand | undefined, why: string): TemplateInvalid {
    const isKnown = (name: string): boolean => Object.hasOwn(this.#scope.functions, name)
    const at = operand === undefined ? 0 : placeOf(operand)
    const shown = operand === undefined ? '' : contextOf(operand, isKnown)
    return new TemplateInvalid(
      lineAndColumn(this.#template, at),
      `executing "expansion" at <${shown}>: ${why}`,
    )
  }

  /** Nothing is put together that would be too large, and what is, is wiped in the end. */
  #keep(pieces: readonly Uint8Array[], line: number, made?: Uint8Array): Uint8Array {
    this.#madeBytes += pieces.reduce((sum, { length }) => sum + length, 0)
    if (this.#madeBytes > this.#sizeBytesMax) throw tooLarge(line, this.#sizeBytesMax)
    const whole = made ?? Buffer.concat(pieces)
    this.#made.push(whole)
    return whole
  }

  #print(piece: Uint8Array, line: number): void {
    this.#sizeBytes += piece.length
    if (this.#sizeBytes > this.#sizeBytesMax) throw tooLarge(line, this.#sizeBytesMax)
    this.#pieces.push(piece)
  }
}

const tooLarge = (line: number, sizeBytesMax: number): TemplateInvalid =>
  new TemplateInvalid(line, `it becomes larger than ${sizeBytesMax} bytes`)

/** The first operand that decides, or the last one: no more than that is looked at. */
function chosen(name: 'and' | 'or', given: readonly (() => Value)[]): Value {
  const [first, ...others] = given
  if (first === undefined) throw new WrongCount(name, 'at least 1', 0)
  let value = first()
  for (const next of others) {
    if (isTrue(value) === (name === 'or')) return value
    value = next()
  }
  return value
}
