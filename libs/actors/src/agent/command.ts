import {
  ContainerSpecRefused,
  programOf,
  sandboxDirectory,
  type PlannedImage,
} from '@conclave/isolators'
import type { CommandInfo, TaskInfo } from '@conclave/model'
import type { ContainerUser } from './container-runtime.ts'

/** What an agent tells containers about itself. */
export interface AgentPlace {
  readonly agentId: string
  readonly ipAddress: string
  readonly port: number
}

/** @throws PlanRefused when a task has no command */
export function commandOf(task: TaskInfo): CommandInfo {
  if (task.command !== undefined) return task.command
  throw new ContainerSpecRefused('the task has no command')
}

/**
 * The argument vector of a command, as far as it says: a line for the shell, or a program whose
 * `arguments` begin with the name it is called by. An image may still say the rest.
 *
 * @throws PlanRefused when there is no program, and no image that could have one
 */
export function argumentsOf(
  command: CommandInfo,
  image: PlannedImage | undefined,
): readonly string[] {
  const isImages = image !== undefined && command.shell === false && (command.value ?? '') === ''
  return isImages ? [] : programOf(command, undefined)
}

/** The one ordinary user of a container, whatever name a task calls it by. */
const ordinaryId = 1000

/** `uid` or `uid:gid`, as Docker's users may be written. */
const numbers = /^(\d{1,9})(?::(\d{1,9}))?$/

export function userOf({ user = 'task' }: CommandInfo): ContainerUser {
  const [, uid, gid = '0'] = numbers.exec(user) ?? []
  if (user === 'root' || uid === '0') return { name: 'root', uid: 0, gid: 0 }
  if (uid === undefined) return { name: user, uid: ordinaryId, gid: ordinaryId }
  return { name: user, uid: Number(uid), gid: Number(gid) }
}

/** A command's executor is called like its task; a group's has a name of its own. */
export const executorIdOf = (task: TaskInfo): string =>
  task.executor?.executor_id.value ?? task.task_id.value

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What an executor alone is told: how to reach its agent, and what proves who it is. */
export interface ExecutorPlace {
  readonly executorId: string
  readonly token: string | undefined
  readonly shutdownGraceMs: number
}

/** What an executor finds in its environment, and no task. Source: reference/mesos.md §8, §18. */
export const executorVariables = ({
  executorId,
  token,
  shutdownGraceMs,
}: ExecutorPlace): ReadonlyMap<string, string> =>
  new Map([
    ['MESOS_EXECUTOR_ID', executorId],
    ['MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD', `${shutdownGraceMs / 1000}secs`],
    ...(token === undefined ? [] : [['MESOS_EXECUTOR_AUTHENTICATION_TOKEN', token] as const]),
  ])

/** What every task finds in its environment. Source: reference/mesos.md §8; no tokens. */
export function environmentOf(
  task: TaskInfo,
  frameworkId: string,
  { agentId, ipAddress, port }: AgentPlace,
): ReadonlyMap<string, string> {
  const role = task.resources.find(({ allocation_info }) => allocation_info?.role !== undefined)
  return new Map([
    ['LIBPROCESS_PORT', '0'],
    ['MESOS_AGENT_ENDPOINT', `${ipAddress}:${port}`],
    ['MESOS_ALLOCATION_ROLE', role?.allocation_info?.role ?? '*'],
    ['MESOS_CHECKPOINT', '0'],
    ['MESOS_DIRECTORY', sandboxDirectory],
    ['MESOS_EXECUTOR_ID', executorIdOf(task)],
    ['MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD', '5secs'],
    ['MESOS_FRAMEWORK_ID', frameworkId],
    ['MESOS_HTTP_COMMAND_EXECUTOR', '0'],
    ['MESOS_SANDBOX', sandboxDirectory],
    ['MESOS_SLAVE_ID', agentId],
    ['MESOS_SLAVE_PID', `slave(1)@${ipAddress}:${port}`],
    ['PATH', usualPath],
  ])
}
