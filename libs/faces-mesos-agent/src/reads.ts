import {
  containerIdOf,
  type AgentApi,
  type AgentExecutorView,
  type AgentTaskView,
  type PlainAnswer,
} from '@conclave/actors'
import {
  isTerminal,
  type AgentCallType,
  type AgentContainer,
  type AgentExecutors,
  type AgentFrameworks,
  type AgentResponse,
  type AgentTasks,
  type ExecutorInfo,
  type Task,
} from '@conclave/model'
import { plain } from './answers.ts'
import type { AgentFaceOptions } from './face.ts'

/** The version that frameworks are told, as on masters. */
export const mesosVersion = '1.11.0'

/** Calls that look and change nothing. Source: mesos.md §7. */
export function answerRead(
  api: AgentApi,
  type: AgentCallType,
  options: AgentFaceOptions,
): PlainAnswer | AgentResponse {
  switch (type) {
    case 'GET_HEALTH':
      return { type, get_health: { healthy: true } }
    case 'GET_VERSION':
      return { type, get_version: { version_info: { version: mesosVersion } } }
    case 'GET_FLAGS': {
      const flags = Object.entries(options.flags).map(([name, value]) => ({ name, value }))
      return { type, get_flags: { flags } }
    }
    case 'GET_METRICS':
      return { type, get_metrics: { metrics: metricsOf(api) } }
    case 'GET_LOGGING_LEVEL':
      return { type, get_logging_level: { level: options.logging?.level ?? 0 } }
    case 'GET_STATE':
      return {
        type,
        get_state: {
          get_tasks: tasksOf(api),
          get_executors: executorsOf(api),
          get_frameworks: frameworksOf(api),
        },
      }
    case 'GET_TASKS':
      return { type, get_tasks: tasksOf(api) }
    case 'GET_EXECUTORS':
      return { type, get_executors: executorsOf(api) }
    case 'GET_FRAMEWORKS':
      return { type, get_frameworks: frameworksOf(api) }
    case 'GET_CONTAINERS':
      return { type, get_containers: { containers: containersOf(api) } }
    case 'GET_AGENT':
      return { type, get_agent: { agent_info: api.status().info } }
    // Neither is here, and Mesos answers with nothing in it.
    case 'GET_OPERATIONS':
      return { type, get_operations: { operations: [] } }
    case 'GET_RESOURCE_PROVIDERS':
      return { type, get_resource_providers: { resource_providers: [] } }
    default:
      return plain(501)
  }
}

const metricsOf = (api: AgentApi): readonly { name: string; value: number }[] => {
  const { executors, containers } = api.view()
  const tasks = executors.flatMap((executor) => executor.tasks)
  const count = (wanted: (task: AgentTaskView) => boolean): number => tasks.filter(wanted).length
  return Object.entries({
    'slave/containers': containers.length,
    'slave/executors_running': executors.length,
    'slave/registered': api.status().isRegistered ? 1 : 0,
    'slave/tasks_killing': count(({ state }) => state === 'TASK_KILLING'),
    'slave/tasks_running': count(({ state }) => state === 'TASK_RUNNING'),
    'slave/tasks_staging': count(({ state }) => state === 'TASK_STAGING'),
    'slave/tasks_starting': count(({ state }) => state === 'TASK_STARTING'),
  }).map(([name, value]) => ({ name, value }))
}

function tasksOf(api: AgentApi): AgentTasks {
  const { agentId = '' } = api.status()
  const tasks = api.view().executors.flatMap((executor) => executor.tasks)
  const those = (wanted: (task: AgentTaskView) => boolean): readonly Task[] =>
    tasks.filter(wanted).map((task) => taskOf(agentId, task))
  return {
    pending_tasks: [],
    queued_tasks: those(({ isQueued, state }) => isQueued && !isTerminal(state)),
    launched_tasks: those(({ isQueued, state }) => !isQueued && !isTerminal(state)),
    terminated_tasks: those(({ state }) => isTerminal(state)),
    completed_tasks: [],
  }
}

/** No command, no environment, no data: what a Task is in state endpoints. */
function taskOf(agentId: string, { info, frameworkId, executorId, state }: AgentTaskView): Task {
  const { labels, discovery, container, health_check, kill_policy, limits } = info
  return {
    name: info.name,
    task_id: info.task_id,
    framework_id: { value: frameworkId },
    executor_id: { value: executorId },
    agent_id: { value: agentId },
    state,
    resources: info.resources,
    statuses: [],
    labels,
    discovery,
    container,
    health_check,
    kill_policy,
    limits,
    user: info.command?.user,
  }
}

const executorsOf = (api: AgentApi): AgentExecutors => ({
  executors: api.view().executors.map((executor) => ({ executor_info: infoOf(executor) })),
  completed_executors: [],
})

const infoOf = ({ info, frameworkId }: AgentExecutorView): ExecutorInfo => ({
  ...info,
  framework_id: { value: frameworkId },
})

function frameworksOf(api: AgentApi): AgentFrameworks {
  const byId = new Map(
    api.view().executors.map(({ frameworkId, framework }) => [
      frameworkId,
      framework ?? {
        user: '',
        name: frameworkId,
        id: { value: frameworkId },
        roles: [],
        capabilities: [],
      },
    ]),
  )
  return {
    frameworks: [...byId.values()].map((info) => ({ framework_info: info })),
    completed_frameworks: [],
  }
}

function containersOf(api: AgentApi): readonly AgentContainer[] {
  const { containers, executors } = api.view()
  const names = new Map(
    executors.map(({ frameworkId, executorId, info }) => [
      keyOf(frameworkId, executorId),
      info.name ?? '',
    ]),
  )
  return containers.map(({ name, frameworkId, executorId }) => {
    const id = containerIdOf(name)
    const executorName = names.get(keyOf(frameworkId, executorId))
    return {
      framework_id: { value: frameworkId },
      executor_id: { value: executorId },
      ...(executorName !== undefined && { executor_name: executorName }),
      container_id: id,
      container_status: { container_id: id, network_infos: [] },
    }
  })
}

const keyOf = (frameworkId: string, executorId: string): string =>
  JSON.stringify([frameworkId, executorId])
