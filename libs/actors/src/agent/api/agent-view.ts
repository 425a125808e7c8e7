import type { ExecutorInfo, TaskInfo, TaskState } from '@conclave/model'
import type { AgentTask } from '../agent-task.ts'
import { rootOf } from '../container-name.ts'
import type { Executor } from '../executors/executor.ts'
import type { Executors } from '../executors/executors.ts'
import type { NestedContainers } from '../executors/nested-containers.ts'
import type {
  AgentContainerView,
  AgentExecutorView,
  AgentTaskView,
  AgentStateView,
} from './agent-api.ts'

/** What this agent runs, as plain data. */
export function viewOf(
  tasks: readonly AgentTask[],
  containers: readonly AgentTask[],
  executors: Executors,
  nested: NestedContainers,
): Omit<AgentStateView, 'ended'> {
  const own = tasks.filter(({ role }) => role === 'task')
  const groups = Map.groupBy(
    tasks.filter(({ role }) => role === 'group-task'),
    ({ containerId }) => rootOf(containerId),
  )
  return {
    executors: [
      ...own.map(commandExecutor),
      ...Iterator.from(executors.all()).map((one) => executorView(one, groups)),
    ],
    containers: [
      ...containers.map(containerView),
      ...nested.sessions().map(sessionView(containers)),
    ],
  }
}

const containerView = ({
  containerId,
  frameworkId,
  executorId,
}: AgentTask): AgentContainerView => ({
  name: containerId,
  frameworkId,
  executorId,
  isSession: false,
})

const sessionView =
  (containers: readonly AgentTask[]) =>
  (name: string): AgentContainerView => {
    const above = containers.find(({ containerId }) => name.startsWith(`${containerId}.`))
    const { frameworkId = '', executorId = '' } = above ?? {}
    return { name, frameworkId, executorId, isSession: true }
  }

function executorView(
  executor: Executor,
  groups: ReadonlyMap<string, readonly AgentTask[]>,
): AgentExecutorView {
  const { frameworkId, executorId, kind, containerId, info, framework } = executor
  const ofGroup = groups.get(containerId) ?? []
  const own = [...executor.tasks.values()].map((task): AgentTaskView => ({
    taskId: task.taskId,
    frameworkId,
    executorId,
    info: task.info,
    state: task.state,
    isQueued: task.isQueued,
    containerId,
  }))
  const tasks = [...own, ...ofGroup.map(taskView)]
  return { frameworkId, executorId, kind, containerId, info, framework, tasks }
}

function commandExecutor(task: AgentTask): AgentExecutorView {
  const { frameworkId, executorId, containerId, info } = task
  return {
    frameworkId,
    executorId,
    kind: 'command',
    containerId,
    info: generatedExecutor(info, executorId),
    framework: undefined,
    tasks: [taskView(task)],
  }
}

/** What Mesos makes up for a command task. Source: mesos.md §13. */
export function generatedExecutor(info: TaskInfo, executorId: string): ExecutorInfo {
  const { command, container, labels } = info
  const line = command?.value ?? ''
  return {
    executor_id: { value: executorId },
    name: `Command Executor (Task: ${executorId}) (Command: sh -c '${line.slice(0, 12)}${line.length > 12 ? '...' : ''}')`,
    ...(command === undefined ? {} : { command }),
    ...(container === undefined ? {} : { container }),
    ...(labels === undefined ? {} : { labels }),
    resources: [],
  }
}

const taskView = (task: AgentTask): AgentTaskView => ({
  taskId: task.taskId,
  frameworkId: task.frameworkId,
  executorId: task.executorId,
  info: task.info,
  state: stateOf(task),
  isQueued: ['waiting', 'resolving', 'preparing'].includes(task.stage),
  containerId: task.containerId,
})

function stateOf({ stage, end, isKilled }: AgentTask): TaskState {
  switch (stage) {
    case 'waiting':
    case 'resolving':
    case 'preparing':
      return 'TASK_STAGING'
    case 'starting':
      return 'TASK_STARTING'
    case 'running':
    case 'ending':
      return isKilled ? 'TASK_KILLING' : 'TASK_RUNNING'
    case 'ended':
      break
  }
  return end?.state ?? 'TASK_LOST'
}
