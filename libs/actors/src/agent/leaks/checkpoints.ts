import { sandboxDirectory, type Plan } from '@conclave/isolators'
import { Redacted, type RedactedBytes } from '@conclave/kernel'
import {
  asciiJson,
  ContainerConfig,
  ContainerLaunchInfo,
  Environment,
  mapParts,
  Secret,
  Task,
  toJson,
  toProtobuf,
  type CommandInfo,
  type ExecutorInfo,
  type Message,
  type TaskInfo,
} from '@conclave/model'
import type { AgentTask } from '../agent-task.ts'
import { generatedExecutor } from '../api/agent-view.ts'
import type { HelperProcess } from '../container-runtime.ts'

/*
 * The messages that Mesos' agent writes down, and what its helper processes are told: with values, since
 * that is what they are shown for. Nothing here is called unless an agent leaks as Mesos does.
 */

/** An inline value, in plain text; undefined when nobody here has had it. */
export type InlineValue = (secret: Secret) => RedactedBytes | undefined

const withHidden = { withHidden: true } as const

/** As `::protobuf::write` of stout has it: four bytes of length, the machine's own way round, and the message. */
export function checkpointed<T>(kind: Message<T>, value: T, valueOf: InlineValue): RedactedBytes {
  const opened = mapParts(kind, value, Secret, (secret) => {
    const data = valueOf(secret)
    return data === undefined ? secret : { ...secret, value: { data } }
  })
  const message = toProtobuf(kind, kind.name, opened, withHidden)
  const bytes = new Uint8Array(4 + message.length)
  new DataView(bytes.buffer).setUint32(0, message.length, true)
  bytes.set(message, 4)
  return new Redacted(bytes)
}

/** `task.info` has what a master's state has of a task: neither its command nor its data. */
export const checkpointedTask = (
  info: TaskInfo,
  frameworkId: string,
  executorId: string,
): Task => ({
  name: info.name,
  task_id: info.task_id,
  framework_id: { value: frameworkId },
  executor_id: { value: executorId },
  agent_id: info.agent_id,
  state: 'TASK_STAGING',
  resources: info.resources,
  statuses: [],
  labels: info.labels,
  discovery: info.discovery,
  container: info.container,
  health_check: info.health_check,
  kill_policy: info.kill_policy,
  user: info.command?.user,
})

/** The executor of a container that has one: its framework's, or the one that Mesos makes up for a command. */
export function executorOf({
  role,
  info,
  executorId,
  executor,
}: AgentTask): ExecutorInfo | undefined {
  if (role === 'task') return generatedExecutor(info, executorId)
  return role === 'executor' ? executor : undefined
}

export function containerConfig(task: AgentTask, command: CommandInfo): ContainerConfig {
  const { role, info } = task
  const container = task.container ?? info.container
  const executor = executorOf(task)
  return {
    ...(executor && { executor_info: executor }),
    ...(role === 'task' && { task_info: info }),
    command_info: command,
    ...(container && { container_info: container }),
    resources: info.resources,
    container_class: 'DEFAULT',
    directory: sandboxDirectory,
    ...(command.user !== undefined && { user: command.user }),
  }
}

/** What all isolators came to. Here values become text, which nobody can wipe. */
export function launchInfoOf(
  { role }: AgentTask,
  command: CommandInfo,
  plan: Plan,
): ContainerLaunchInfo {
  const steps = plan.filter((step) => step.do === 'set-env')
  const resolved = steps.filter(({ value }) => value instanceof Redacted)
  const own = environmentOf(resolved)
  return {
    environment: environmentOf(steps),
    command: role === 'task' ? commandExecutor(own) : command,
    working_directory: sandboxDirectory,
    ...(command.user !== undefined && { user: command.user }),
    ...(role === 'task' && resolved.length > 0 && { task_environment: own }),
  }
}

type SetEnv = Extract<Plan[number], { do: 'set-env' }>

const environmentOf = (steps: readonly SetEnv[]): Environment => ({
  variables: steps.map(({ name, value }) => ({
    name,
    type: 'VALUE',
    value: typeof value === 'string' ? value : textOf(value.reveal()),
  })),
})

/** What is no text is written as far as it is one: this is shown to people. */
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

const launcherDirectory = '/usr/libexec/mesos'

/** Its arguments have the values: Mesos tells a command executor its task's environment there. */
function commandExecutor(taskEnvironment: Environment): CommandInfo {
  const own = `--task_environment=${asciiJson(toJson(Environment, taskEnvironment))}`
  return {
    uris: [],
    shell: false,
    value: `${launcherDirectory}/mesos-executor`,
    arguments: [
      'mesos-executor',
      `--launcher_dir=${launcherDirectory}`,
      `--sandbox_directory=${sandboxDirectory}`,
      ...(taskEnvironment.variables.length === 0 ? [] : [own]),
    ],
  }
}

/**
 * What stands before a container's program in Mesos, as a machine shows its processes. They are
 * simulated: here nothing but the container's own program runs.
 */
export function helpersOf(
  { role, checked }: AgentTask,
  info: ContainerLaunchInfo,
): Redacted<readonly HelperProcess[]> {
  const launch: HelperProcess = {
    argv: ['mesos-containerizer', 'launch'],
    env: {
      MESOS_CONTAINERIZER_LAUNCH_INFO: asciiJson(toJson(ContainerLaunchInfo, info, withHidden)),
    },
    isRoot: true,
  }
  if (role !== 'task' || checked === undefined) return new Redacted([launch])
  const env = Object.fromEntries(
    (info.environment?.variables ?? []).map(({ name, value = '' }) => [name, value]),
  )
  const executor = { argv: info.command?.arguments ?? [], env, isRoot: false }
  return new Redacted([launch, executor])
}

/** Copies, since the plan's own bytes are its own. */
export const secretCopiesOf = (plan: Plan): readonly RedactedBytes[] =>
  plan.flatMap((step) =>
    step.do === 'write-file' ? [new Redacted(step.bytes.reveal().slice())] : [],
  )

/** Whether the launch info holds a resolved value: one that no isolator had to add is plain anyhow. */
export const hasValues = (plan: Plan): boolean =>
  plan.some((step) => step.do === 'set-env' && step.value instanceof Redacted)
