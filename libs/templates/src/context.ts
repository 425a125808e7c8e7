import { utf8Text } from '@conclave/kernel'
import type { Operand } from './parse.ts'
import { shownName } from './template-invalid.ts'

/* Where in a template an error is, and what stands there. Source: Go's text/template, `parse.Tree.ErrorContext`. */

export type Call = Extract<Operand, { readonly is: 'call' }>

/** `line:column`, the line from 1 and the column from 0, in bytes. */
export function lineAndColumn(template: Uint8Array, at: number): string {
  const before = Buffer.from(template.buffer, template.byteOffset, at)
  const column = at - (before.lastIndexOf(0x0a) + 1)
  const line = 1 + before.reduce((sum, byte) => sum + (byte === 0x0a ? 1 : 0), 0)
  return `${line}:${column}`
}

/** In Go a chain of fields stands where its second one does, and a variable's fields after its name. */
export function placeOf(operand: Operand): number {
  if (operand.is === 'variable' && operand.names.length > 0) return operand.at + operand.name.length
  if (operand.is !== 'field') return operand.at
  const [first = '', ...others] = operand.names
  return others.length === 0 ? operand.at : operand.at + 1 + first.length
}

/**
 * An operand as Go prints it. Texts of a template may be a secret: those that name one for a function of the
 * scope's are shown, and a call with any other shows its name alone.
 */
export function contextOf(operand: Operand, isScopes: (name: string) => boolean): string {
  const whole = shownOf(operand, isScopes)
  if (whole !== undefined) return whole
  return operand.is === 'call' ? operand.name : 'a text'
}

function shownOf(operand: Operand, isScopes: (name: string) => boolean): string | undefined {
  switch (operand.is) {
    case 'field':
      return `.${operand.names.map(shownName).join('.')}`
    case 'variable':
      return `$${[shownRest(operand.name), ...operand.names.map(shownName)].join('.')}`
    case 'constant':
      return String(operand.value)
    case 'text':
      return undefined
    case 'pipeline': {
      const commands = operand.pipeline.map((one) => shownOf(one, isScopes))
      return commands.includes(undefined) ? undefined : `(${commands.join(' | ')})`
    }
    case 'call':
    default: {
      const { name, operands } = operand
      const words = operands.map((one) =>
        one.is === 'text' && isScopes(name) ? nameIn(one.bytes) : shownOf(one, isScopes),
      )
      return words.includes(undefined) ? undefined : [name, ...words].join(' ')
    }
  }
}

const shownRest = (variable: string): string =>
  variable.length === 1 ? '' : shownName(variable.slice(1))

function nameIn(bytes: Uint8Array): string | undefined {
  const text = utf8Text(bytes.subarray(0, 256))
  return bytes.length <= 128 && shownName(text) === text ? `"${text}"` : undefined
}
