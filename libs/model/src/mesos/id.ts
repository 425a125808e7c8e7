import {
  message,
  optional,
  recursive,
  required,
  text,
  type Infer,
  type Message,
} from './message.ts'

/** `{value}`: how task, agent, framework, executor and offer ids are written. */
export const Id = message('ID', { value: required(text) })
export type Id = Infer<typeof Id>

export interface ContainerId {
  readonly value: string
  readonly parent?: ContainerId | undefined
}
export const ContainerId: Message<ContainerId> = recursive('ContainerID', () => ({
  value: required(text),
  parent: optional(ContainerId),
}))

/** What is wrong with an id, in Mesos' words, or undefined. Source: mesos.md §3. */
export function idProblem(id: string): string | undefined {
  if (id.length === 0) return 'ID must not be empty'
  if (id.length > 255) return 'ID must not be greater than 255 characters'
  if (id === '.' || id === '..') return `'${id}' is disallowed`
  // Half a surrogate pair would be another id once it was written as UTF-8.
  if (!id.isWellFormed()) return 'ID contains invalid characters'
  for (const letter of id) {
    const isControl = letter < ' ' || letter === '\u007f'
    if (isControl || letter === '/' || letter === '\\') return `'${id}' contains invalid characters`
  }
  return undefined
}

export function containerIdProblem(id: ContainerId): string | undefined {
  const problem = idProblem(id.value)
  if (problem !== undefined) return `'ContainerID.value' is invalid: ${problem}`
  if (id.value.length > 242) {
    return `'ContainerID.value' '${id.value}' exceeds the maximum length (242)`
  }
  if (/[. ]/.test(id.value)) return `'ContainerID.value' '${id.value}' contains invalid characters`
  const parent = id.parent === undefined ? undefined : containerIdProblem(id.parent)
  return parent === undefined ? undefined : `'ContainerID.parent' is invalid: ${parent}`
}
