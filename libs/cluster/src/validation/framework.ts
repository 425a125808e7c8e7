import { utf8 } from '@conclave/kernel'
import { hasCapability, roleProblem, rolesOf, type FrameworkInfo } from '@conclave/model'
import type { Framework } from '../state.ts'

/*
 * What keeps a framework from being one, in Mesos' words (mesos.md §3, §5.1).
 */

/** Why no framework may have this description. */
export function frameworkProblem(info: FrameworkInfo): string | undefined {
  const isMultiRole = hasCapability(info, 'MULTI_ROLE')
  if (isMultiRole && info.role !== undefined) {
    return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
  }
  if (!isMultiRole && info.roles.length > 0) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
  }
  const problem = roleProblem(info.role ?? '*')
  if (problem !== undefined) return `'FrameworkInfo.role' is not a valid role: ${problem}`
  const roles = new Set<string>()
  const twice = info.roles.filter((role) => roles.size === roles.add(role).size)
  if (twice.length > 0) {
    return `'FrameworkInfo.roles' contains duplicate items: { ${twice.join(', ')} }`
  }
  const invalid = info.roles.map(roleProblem).find((why) => why !== undefined)
  if (invalid !== undefined) return `'FrameworkInfo.roles' contains invalid role: ${invalid}`
  if (utf8(JSON.stringify(info)).length > infoSizeBytesMax) {
    return `FrameworkInfo is larger than ${infoSizeBytesMax} bytes`
  }
  const timeout = info.failover_timeout ?? 0
  if (timeout >= 0 && timeout <= failoverSecondsMax) return undefined
  return `The framework failover_timeout (${timeout}) is invalid`
}

export function suppressedProblem(
  info: FrameworkInfo,
  suppressed: readonly string[],
): string | undefined {
  const foreign = new Set(suppressed).difference(new Set(rolesOf(info)))
  if (foreign.size === 0) return undefined
  return `Suppressed roles { ${[...foreign].toSorted().join(', ')} } are not contained in the set of roles`
}

/** Descriptions of frameworks and agents have to fit into one record of the store. */
export const infoSizeBytesMax = 65_536

/** A span of nanoseconds in 63 bits, as Mesos keeps it. */
const failoverSecondsMax = 9_223_372_036

export function comebackProblem(
  uid: string,
  info: FrameworkInfo,
  known: Framework | undefined,
): string | undefined {
  if (info.id === undefined) return undefined
  if (known === undefined || known.record.state === 'completed') return 'Framework has been removed'
  if (known.record.uid !== uid) return "Changing framework's principal is not allowed."
  return undefined
}

/** What UPDATE_FRAMEWORK may not change. */
export function updateProblem(known: FrameworkInfo, asked: FrameworkInfo): string | undefined {
  if (asked.principal !== known.principal) return "Changing framework's principal is not allowed."
  if (asked.user !== known.user) {
    return (
      "Updating 'FrameworkInfo.user' is unsupported; attempted to update " +
      `from '${known.user}' to '${asked.user}'`
    )
  }
  const [before, after] = [known.checkpoint ?? false, asked.checkpoint ?? false]
  if (before === after) return undefined
  return (
    "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update " +
    `from '${before}' to '${after}'`
  )
}
