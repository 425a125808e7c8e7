import { variableProblem, type CommandInfo, type EnvironmentVariable } from '@conclave/model'
import { firstOf } from '../problem.ts'

/** What Mesos says of a command, which is what it says of its environment. Source: mesos.md §11. */
export function commandProblem(command: CommandInfo | undefined): string | undefined {
  return firstOf(command?.environment?.variables ?? [], environmentVariableProblem)
}

function environmentVariableProblem(
  variable: EnvironmentVariable,
  index: number,
): string | undefined {
  return (
    variableProblem(variable) ??
    strictNameProblem(variable.name, index) ??
    strictValueProblem(variable)
  )
}

/** Upstream takes any name. No environment can hold these, and nobody can ask for them. */
function strictNameProblem(name: string, index: number): string | undefined {
  if (name === '') return `Environment variable number ${index + 1} has an empty name`
  if (!/[=\0]/.test(name)) return undefined
  return `Environment variable number ${index + 1} has a name with '=' or a null byte in it`
}

/** Upstream hands the value to C, which cuts it off there. */
const strictValueProblem = ({ name, value = '' }: EnvironmentVariable): string | undefined =>
  value.includes('\0')
    ? `Environment variable '${name}' has a value containing null bytes`
    : undefined
