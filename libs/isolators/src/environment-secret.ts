import { Redacted, wipe, type RedactedBytes } from '@conclave/kernel'
import {
  nullBytesProblem,
  variableProblem,
  type CommandInfo,
  type ContainerInfo,
  type Secret,
} from '@conclave/model'
import { checkSize, type SecretLimits } from './limits.ts'
import type { Step } from './plan.ts'
import { ContainerSpecRefused, quoted, VariableRefused } from './refusal.ts'

/*
 * The isolator `environment_secret`. Source: reference/mesos.md §13, §14. An environment is the weaker
 * of the two places: children inherit it and nobody can rotate it.
 */

export interface SecretVariable {
  readonly name: string
  readonly secret: Secret
}

type EnvironmentStep = Extract<Step, { do: 'set-env' | 'print' }>

/** Mesos' launcher says so at the head of what the program prints. Source: reference/mesos.md §13. */
const overwriting = (name: string): string => `Overwriting environment variable '${name}'`

/** As in Mesos, but for secrets: not to tell of one would tell that it has the other value. */
const isOverwritten = (
  before: string | RedactedBytes | undefined,
  after: string | RedactedBytes,
): boolean =>
  before !== undefined &&
  (typeof before !== 'string' || typeof after !== 'string' || before !== after)

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * The secret variables of a command, in order.
 *
 * @throws PlanRefused in Mesos' words, or for a name that a shell would evaluate
 */
export function secretVariables(
  command: CommandInfo,
  container?: ContainerInfo,
): readonly SecretVariable[] {
  const variables = command.environment?.variables ?? []
  const problem = variables.map(variableProblem).find((why) => why !== undefined)
  if (problem !== undefined) {
    throw new ContainerSpecRefused(`Invalid environment specified: ${problem}`)
  }
  return variables.flatMap(({ name, type, secret }) => {
    if (type !== 'SECRET' || secret === undefined) return []
    if (container?.type === 'DOCKER') {
      throw new ContainerSpecRefused(
        `Environment variable '${name}': secrets are only supported for the Mesos containerizer`,
      )
    }
    if (!variableName.test(name)) {
      const why = 'name is not [A-Za-z_][A-Za-z0-9_]*'
      throw new VariableRefused(`secret ${quoted(name)} cannot be an environment variable: ${why}.`)
    }
    return [{ name, secret }]
  })
}

/**
 * The whole environment of a container: what the agent gives, then secrets, then plain values; later
 * ones win, so a plain variable overrides a secret of its name, and the last secret of a name wins.
 * A secret that is overridden is wiped here and placed nowhere, and the container's output begins with
 * the name.
 *
 * @param given what the agent adds, such as `MESOS_SANDBOX`
 * @param values one for each of `variables`, in order; they belong to the plan from now on
 * @throws PlanRefused for a value that no environment can hold
 */
export function planEnvironment(
  command: CommandInfo,
  given: ReadonlyMap<string, string>,
  variables: readonly SecretVariable[],
  values: readonly RedactedBytes[],
  limits: SecretLimits,
): readonly EnvironmentStep[] {
  const environment = new Map<string, string | RedactedBytes>(given)
  const overwritten: string[] = []
  const set = (name: string, value: string | RedactedBytes): void => {
    const before = environment.get(name)
    if (isOverwritten(before, value)) overwritten.push(name)
    if (before instanceof Redacted) wipe(before)
    environment.set(name, value)
  }
  for (const [index, { name }] of variables.entries()) {
    const value = values[index]
    if (value === undefined) continue
    if (value.reveal().includes(0)) {
      throw new VariableRefused(nullBytesProblem(name))
    }
    checkSize(name, value, limits)
    set(name, value)
  }
  for (const { name, type, value } of command.environment?.variables ?? []) {
    if (type !== 'SECRET' && value !== undefined) set(name, value)
  }
  const steps = [...environment].map(([name, value]) => ({ do: 'set-env', name, value }) as const)
  // Docker has no launcher that would say so.
  const told = command.docker_arguments === true ? [] : overwritten
  return [...told.map((name) => ({ do: 'print', line: overwriting(name) }) as const), ...steps]
}
