import { utf8 } from '@conclave/kernel'
import {
  parseSecretPath,
  partsIn,
  PathInvalid,
  Secret,
  secretSizeBytesMax,
  TaskInfo,
} from '@conclave/model'
import type { ClusterLimits } from '../limits.ts'
import { firstOf } from '../problem.ts'

/*
 * Checks that upstream does not have: what it would let through to the container, or could not be kept
 * in the store. The texts are ours.
 */

const taskNameLengthMax = 255

export function strictTaskProblem(task: TaskInfo, limits: ClusterLimits): string | undefined {
  if (task.name === '') return "'TaskInfo.name' must not be empty"
  if (task.name.length > taskNameLengthMax) {
    return `'TaskInfo.name' must not be greater than ${taskNameLengthMax} characters`
  }
  const secrets = partsIn(TaskInfo, task, Secret)
  const tooMany = secretCountProblem('Task', secrets.length, limits.secretsPerTaskMax)
  if (tooMany !== undefined) return tooMany
  const endless = infiniteField(task)
  if (endless !== undefined) return `'${endless}' must be a finite number`
  return firstOf(secrets, strictSecretProblem) ?? strictSizeProblem(task, limits)
}

/** Places that secrets are wanted at. An agent says the same of a container that it is asked for itself. */
export const secretCountProblem = (what: string, count: number, max: number): string | undefined =>
  count > max ? `${what} uses ${count} secrets, more than the ${max} it may` : undefined

function strictSecretProblem({ reference, value }: Secret): string | undefined {
  // An envelope is a little longer than its value, and base64 is longer by a third.
  const sealedBytes = ((value?.sealed?.envelope.length ?? 0) * 3) / 4
  if (sealedBytes > secretSizeBytesMax + 1024) {
    return `'secret.value' is longer than ${secretSizeBytesMax} bytes`
  }
  if (reference === undefined) return undefined
  try {
    parseSecretPath(reference.name, "'secret.reference.name'")
  } catch (error) {
    if (error instanceof PathInvalid) return error.message
    throw error
  }
  return reference.key === '' ? "'secret.reference.key' must not be empty" : undefined
}

/** JSON has no word for it, so a record that held it could not be read again. */
export function infiniteField(value: unknown): string | undefined {
  let found: string | undefined
  JSON.stringify(value, (name, item: unknown) => {
    if (typeof item === 'number' && !Number.isFinite(item)) found ??= name
    return item
  })
  return found
}

function strictSizeProblem(
  task: TaskInfo,
  { taskSizeBytesMax }: ClusterLimits,
): string | undefined {
  if (utf8(JSON.stringify(task)).length <= taskSizeBytesMax) return undefined
  return (
    `Task is larger than ${taskSizeBytesMax} bytes, its sealed secrets included; ` +
    'store a large secret, and refer to it'
  )
}

/** What one transaction of the store cannot hold: the records and the grants of a whole group. */
export function strictGroupProblem(
  tasks: readonly TaskInfo[],
  limits: ClusterLimits,
): string | undefined {
  const { tasksPerGroupMax, secretsPerGroupMax, groupSizeBytesMax } = limits
  if (tasks.length > tasksPerGroupMax) {
    return `Task group has ${tasks.length} tasks, more than the ${tasksPerGroupMax} it may`
  }
  const secrets = tasks.reduce((sum, task) => sum + partsIn(TaskInfo, task, Secret).length, 0)
  const tooMany = secretCountProblem('Task group', secrets, secretsPerGroupMax)
  if (tooMany !== undefined) return tooMany
  const bytes = tasks.reduce((sum, task) => sum + utf8(JSON.stringify(task)).length, 0)
  if (bytes <= groupSizeBytesMax) return undefined
  return `Task group is larger than ${groupSizeBytesMax} bytes, its sealed secrets included`
}
