import type { EnvironmentVariable } from './command.ts'
import type { Secret, SecretValue } from './secret.ts'

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

/** Upstream's only word on what a value may hold. */
export const nullBytesProblem = (name: string): string =>
  `Environment variable '${name}' specifies a secret containing null bytes, which is not allowed in the environment`

/** What Mesos says of one variable, or nothing. */
export function variableProblem({
  name,
  type,
  value,
  secret,
}: EnvironmentVariable): string | undefined {
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
  return holdsNull(secret.value) ? nullBytesProblem(name) : undefined
}

/** A sealed value was looked at while it was open; an agent's own API has it open still. */
const holdsNull = ({ data, sealed }: SecretValue = {}): boolean =>
  sealed?.containsNull === true || data?.reveal().includes(0) === true
