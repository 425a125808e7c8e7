import {
  idProblem,
  parseSecretPath,
  partsIn,
  Secret,
  TaskInfo,
  type SecretPath,
} from '@conclave/model'
import type { ClusterLimits } from '../limits.ts'
import { prefixed } from '../problem.ts'
import { bagOf, resourcesProblem } from '../resources.ts'
import { checkProblem, healthCheckProblem } from './checks.ts'
import { commandProblem } from './command.ts'
import { containerProblem } from './container.ts'
import { strictTaskProblem } from './strict.ts'

/*
 * What keeps a task from being launched: Mesos' checks, in Mesos' words and order (mesos.md §5.3, §11),
 * and stricter ones where upstream would let a mistake through to the container: `strict…` functions,
 * whose texts are ours. A message names the field, never a value.
 */

/** Every check of one task by itself. What it may use of an offer is checked where offers are known. */
export function taskProblem(
  task: TaskInfo,
  expectedAgentId: string,
  limits: ClusterLimits,
): string | undefined {
  const { task_id: id, agent_id: agentId, kill_policy: killPolicy } = task
  return (
    idProblem(id.value) ??
    (agentId.value === expectedAgentId
      ? undefined
      : `Task uses invalid agent ${agentId.value} while agent ${expectedAgentId} is expected`) ??
    durationProblem("Task's 'kill_policy.grace_period'", killPolicy?.grace_period) ??
    durationProblem("Task's `max_completion_time`", task.max_completion_time) ??
    prefixed('Task uses invalid check: ', checkProblem(task.check)) ??
    prefixed('Task uses invalid health check: ', healthCheckProblem(task.health_check)) ??
    taskResourcesProblem(task) ??
    prefixed("Task's `CommandInfo` is invalid: ", commandProblem(task.command)) ??
    prefixed("Task's `ContainerInfo` is invalid: ", containerProblem(task.container)) ??
    limitsProblem(task) ??
    strictTaskProblem(task, limits)
  )
}

const durationProblem = (
  what: string,
  duration: { readonly nanoseconds: number } | undefined,
): string | undefined =>
  duration === undefined || duration.nanoseconds >= 0 ? undefined : `${what} must be non-negative`

function taskResourcesProblem({ resources }: TaskInfo): string | undefined {
  if (resources.length === 0) return 'Task uses no resources'
  return prefixed('Task uses invalid resources: ', resourcesProblem(resources))
}

const limited = [
  ['cpus', 'CPU', 'cpu'],
  ['mem', 'memory', 'memory'],
] as const

function limitsProblem({ limits = {}, resources }: TaskInfo): string | undefined {
  const names = Object.keys(limits)
  if (names.some((name) => name !== 'cpus' && name !== 'mem')) {
    return "Only cpus and mem may be included in a task's resource limits"
  }
  const requested = bagOf(resources).scalars
  for (const [name, what, spoken] of limited) {
    const limit = limits[name]
    const asked = requested.get(name)
    if (limit === undefined) continue
    if (asked === undefined) {
      return `When a ${what} limit is specified, a ${what} request must also be specified`
    }
    if (!(Math.round(limit.value * 1000) >= asked)) {
      return `The ${spoken} limit must be greater than or equal to the ${spoken} request`
    }
  }
  return undefined
}

/** Of a task that is launched by itself. */
export function aloneProblem({ container }: TaskInfo): string | undefined {
  return container?.linux_info?.share_cgroups === false
    ? "Only tasks in a task group may have 'share_cgroups' set to 'false'"
    : undefined
}

/** The paths that a valid task refers to, each once, in the order in which they stand there. */
export const pathsIn = (task: TaskInfo): readonly SecretPath[] => [
  ...new Set(
    partsIn(TaskInfo, task, Secret).flatMap(({ reference }) =>
      reference === undefined ? [] : [parseSecretPath(reference.name)],
    ),
  ),
]
