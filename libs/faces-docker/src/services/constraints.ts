import { rpc, type Refusal } from '../errors.ts'
import { printable } from '../printable.ts'

/*
 * Placement constraints as SwarmKit reads them; that it is no constraint of ours is found by whoever takes the
 * workload. Source: SwarmKit, manager/constraint.
 */

const keyForm = /^[a-z_][a-z0-9\-_.]+$/i
const valueForm = /^[a-z0-9:\-_.*()?+[\]\\^$|/ ]+$/i

interface Constraint {
  readonly key: string
  readonly operator: '==' | '!='
  readonly value: string
}

/** @throws Refusal */
export function checkConstraints(texts: readonly string[]): void {
  for (const text of texts) parseConstraint(text)
}

/** @throws Refusal */
function parseConstraint(text: string): Constraint {
  const operator = text.includes('==') ? '==' : text.includes('!=') ? '!=' : undefined
  if (operator === undefined) throw unknown('constraint expected one operator from ==, !=')
  const at = text.indexOf(operator)
  const key = text.slice(0, at).trim()
  const value = text.slice(at + 2).trim()
  if (!keyForm.test(key)) throw unknown(`key '${printable(key)}' is invalid`)
  if (!valueForm.test(value)) throw unknown(`value '${printable(value)}' is invalid`)
  return { key, operator, value }
}

/**
 * A constraint as workloads have it: `node.id` means the id that this face shows, and workloads call a node by
 * its name.
 *
 * @param nameOf the name of the node with an id of this face, if there is one
 */
export function workloadConstraint(
  text: string,
  nameOf: (id: string) => string | undefined,
): string {
  const { key, operator, value } = parseConstraint(text)
  if (key.toLowerCase() !== 'node.id') return text
  return `${key} ${operator} ${nameOf(value) ?? value}`
}

// They leave SwarmKit without a code of their own.
const unknown = (text: string): Refusal => rpc('Unknown', text)
