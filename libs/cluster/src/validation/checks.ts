import type { CheckInfo, CommandInfo, HealthCheck } from '@conclave/model'
import { firstOf, prefixed } from '../problem.ts'
import { commandProblem } from './command.ts'

/*
 * What Mesos says of checks and health checks.
 */

export function healthCheckProblem(check: HealthCheck | undefined): string | undefined {
  if (check === undefined) return undefined
  const { type } = check
  if (type === undefined) return "HealthCheck must specify 'type'"
  if (type === 'UNKNOWN') return "'UNKNOWN' is not a valid health check type"
  return (
    partProblem('health check', type, check) ??
    (type === 'COMMAND' ? valueProblem('Command health check', check.command) : undefined) ??
    prefixed("Health check's `CommandInfo` is invalid: ", commandProblem(check.command)) ??
    (type === 'HTTP' ? schemeProblem(check.http?.scheme) : undefined) ??
    (type === 'HTTP' ? pathProblem('HTTP health check', check.http?.path) : undefined) ??
    timesProblem(check)
  )
}

export function checkProblem(check: CheckInfo | undefined): string | undefined {
  if (check === undefined) return undefined
  const { type } = check
  if (type === undefined) return "CheckInfo must specify 'type'"
  if (type === 'UNKNOWN') return "'UNKNOWN' is not a valid check type"
  return (
    partProblem('check', type, check) ??
    (type === 'COMMAND' ? valueProblem('Command check', check.command?.command) : undefined) ??
    prefixed("Check's `CommandInfo` is invalid: ", commandProblem(check.command?.command)) ??
    (type === 'HTTP' ? pathProblem('HTTP check', check.http?.path) : undefined) ??
    timesProblem(check)
  )
}

function partProblem(
  what: string,
  type: 'COMMAND' | 'HTTP' | 'TCP',
  check: { readonly command?: unknown; readonly http?: unknown; readonly tcp?: unknown },
): string | undefined {
  const part = type.toLowerCase() as 'command' | 'http' | 'tcp'
  return check[part] === undefined ? `Expecting '${part}' to be set for ${type} ${what}` : undefined
}

function valueProblem(what: string, command: CommandInfo | undefined): string | undefined {
  if (command === undefined || command.value !== undefined) return undefined
  return `${what} must contain ${(command.shell ?? true) ? "'shell command'" : "'executable path'"}`
}

const schemeProblem = (scheme: string | undefined): string | undefined =>
  scheme === undefined || scheme === 'http' || scheme === 'https'
    ? undefined
    : `Unsupported HTTP health check scheme: '${scheme}'`

const pathProblem = (what: string, path: string | undefined): string | undefined =>
  path === undefined || path.startsWith('/')
    ? undefined
    : `The path '${path}' of ${what} must start with '/'`

const times = [
  'delay_seconds',
  'grace_period_seconds',
  'interval_seconds',
  'timeout_seconds',
] as const

const timesProblem = (check: HealthCheck | CheckInfo): string | undefined =>
  firstOf(times, (name) => {
    const seconds = (check as HealthCheck)[name] ?? 0
    return seconds >= 0 ? undefined : `Expecting '${name}' to be non-negative`
  })
