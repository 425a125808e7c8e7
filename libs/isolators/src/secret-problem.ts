import type { CommandInfo, EnvironmentVariable, Secret } from '@conclave/model'

/** What Mesos says of a secret that contradicts itself, or nothing. Source: reference/mesos.md §11. */
export function secretProblem({ type, reference, value }: Secret): string | undefined {
  if (type === 'REFERENCE') {
    if (reference === undefined) {
      return "Secret of type REFERENCE must have the 'reference' field set"
    }
    if (value !== undefined) {
      return `Secret '${reference.name}' of type REFERENCE must not have the 'value' field set`
    }
  }
  if (type === 'VALUE') {
    if (value === undefined) return "Secret of type VALUE must have the 'value' field set"
    if (reference !== undefined) {
      return "Secret of type VALUE must not have the 'reference' field set"
    }
  }
  return undefined
}

export const nullBytesProblem = (name: string): string =>
  `Environment variable '${name}' specifies a secret containing null bytes, which is not allowed in the environment`

/** The first thing Mesos says of an environment, in order of its variables, or nothing. */
export function environmentProblem(command: CommandInfo): string | undefined {
  for (const variable of command.environment?.variables ?? []) {
    const problem = variableProblem(variable)
    if (problem !== undefined) return problem
  }
  return undefined
}

function variableProblem({ name, type, value, secret }: EnvironmentVariable): string | undefined {
  if (type === 'UNKNOWN') return "Environment variable of type 'UNKNOWN' is not allowed"
  if (type !== 'SECRET') {
    if (value === undefined) {
      return `Environment variable '${name}' of type 'VALUE' must have a value set`
    }
    if (secret === undefined) return undefined
    return `Environment variable '${name}' of type 'VALUE' must not have a secret set`
  }
  if (secret === undefined) {
    return `Environment variable '${name}' of type 'SECRET' must have a secret set`
  }
  if (value !== undefined) {
    return `Environment variable '${name}' of type 'SECRET' must not have a value set`
  }
  const problem = secretProblem(secret)
  if (problem !== undefined) {
    return `Environment variable '${name}' specifies an invalid secret: ${problem}`
  }
  return secret.value?.sealed?.containsNull === true ? nullBytesProblem(name) : undefined
}
