import type { Node } from './node.ts'

/*
 * Placement constraints, in Swarm's language: `node.hostname == agent-1`, `node.labels.zone != a`.
 * Source: SwarmKit, manager/constraint.
 */

type NodeSeen = Omit<Node, 'free' | 'tasks'>

interface Constraint {
  readonly key: string
  readonly isEqual: boolean
  readonly value: string
}

const form = /^\s*([a-z0-9_][a-z0-9_\-.]+)\s*(==|!=)\s*(.*?)\s*$/i
const valueForm = /^[a-z0-9:\-_.*()?+[\]\\^$|/ ]+$/i

const keys = ['id', 'hostname', 'role', 'platform.os', 'platform.arch'] as const
const prefixes = ['node.labels.', 'engine.labels.', 'node.attributes.']

/** Whether it is no constraint, and why. */
export function constraintProblem(text: string): string | undefined {
  const found = form.exec(text)
  if (found === null) return 'is no constraint, such as node.hostname == agent-1'
  const [, key = '', , value = ''] = found
  if (!valueForm.test(value)) return `compares with '${value}', which no node can have`
  return keyProblem(key)
}

/** Whether tasks cannot be spread over it, and why. */
export const spreadProblem = (key: string): string | undefined => keyProblem(key.trim())

function keyProblem(key: string): string | undefined {
  const isKnown =
    keys.some((one) => key.toLowerCase() === `node.${one}`) ||
    prefixes.some((prefix) => startsAs(key, prefix) && key.length > prefix.length)
  return isKnown
    ? undefined
    : `is about '${key}'; known are node.id, node.hostname, node.role, node.platform.os, node.platform.arch, node.labels.NAME, engine.labels.NAME and node.attributes.NAME`
}

const startsAs = (text: string, prefix: string): boolean =>
  text.slice(0, prefix.length).toLowerCase() === prefix

/** What a node has there; '' when it has nothing. */
export function valueAt(node: NodeSeen, key: string): string {
  const name = key.toLowerCase()
  switch (name) {
    case 'node.id':
      return node.name
    case 'node.hostname':
      return node.hostname
    case 'node.role':
      return node.role
    case 'node.platform.os':
      return node.platform.os
    case 'node.platform.arch':
      return node.platform.arch
  }
  if (startsAs(key, 'node.labels.')) return node.labels[key.slice('node.labels.'.length)] ?? ''
  return node.attributes[key.slice(key.indexOf('.', key.indexOf('.') + 1) + 1)] ?? ''
}

/** Whether all hold. Values count whatever their case, as in Swarm; `!=` holds where there is no such label. */
export function satisfies(node: NodeSeen, constraints: readonly string[]): boolean {
  return constraints.every((text) => {
    const constraint = parse(text)
    if (constraint === undefined) return false
    const { key, isEqual, value } = constraint
    const has = [valueAt(node, key), ...(key.toLowerCase() === 'node.id' ? [node.agentId] : [])]
    return has.some((one) => one.toLowerCase() === value.toLowerCase()) === isEqual
  })
}

function parse(text: string): Constraint | undefined {
  const found = form.exec(text)
  if (found === null) return undefined
  const [, key = '', operator, value = ''] = found
  return { key, isEqual: operator === '==', value }
}
