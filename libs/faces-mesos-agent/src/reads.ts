import {
  containerIdOf,
  type AgentApi,
  type AgentExecutorView,
  type AgentTaskView,
  type PlainAnswer,
} from '@conclave/actors'
import {
  AgentInfo,
  ContainerId,
  ExecutorInfo,
  FrameworkInfo,
  isTerminal,
  Task,
  toJson,
  type AgentCallType,
  type JsonObject,
} from '@conclave/model'
import { plain } from './answers.ts'
import type { AgentFaceOptions } from './face.ts'
import { shown } from './json.ts'

/** The version that frameworks are told, as on masters. */
export const mesosVersion = '1.11.0'

/** Calls that look and change nothing. Source: mesos.md §7. */
export function answerRead(
  api: AgentApi,
  type: AgentCallType,
  options: AgentFaceOptions,
): PlainAnswer | { readonly json: unknown } {
  const payload = payloadOf(api, type, options)
  if (payload === undefined) return plain(501)
  return { json: { type, [type.toLowerCase()]: payload } }
}

function payloadOf(
  api: AgentApi,
  type: AgentCallType,
  options: AgentFaceOptions,
): JsonObject | undefined {
  switch (type) {
    case 'GET_HEALTH':
      return { healthy: true }
    case 'GET_VERSION':
      return { version_info: { version: mesosVersion } }
    case 'GET_FLAGS':
      return {
        flags: Object.entries(options.flags).map(([name, value]) => ({ name, value })),
      }
    case 'GET_METRICS':
      return { metrics: metricsOf(api) }
    case 'GET_LOGGING_LEVEL':
      return { level: options.logging?.level ?? 0 }
    case 'GET_STATE':
      return {
        get_tasks: tasksOf(api, options),
        get_executors: executorsOf(api, options),
        get_frameworks: frameworksOf(api),
      }
    case 'GET_TASKS':
      return tasksOf(api, options)
    case 'GET_EXECUTORS':
      return executorsOf(api, options)
    case 'GET_FRAMEWORKS':
      return frameworksOf(api)
    case 'GET_CONTAINERS':
      return { containers: containersOf(api) }
    case 'GET_AGENT':
      return { agent_info: toJson(AgentInfo, api.status().info) }
    // Neither is here, and Mesos answers with nothing in it.
    case 'GET_OPERATIONS':
    case 'GET_RESOURCE_PROVIDERS':
      return {}
    default:
      return undefined
  }
}

const metricsOf = (api: AgentApi): readonly JsonObject[] => {
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

function tasksOf(api: AgentApi, options: AgentFaceOptions): JsonObject {
  const write = shown(api, options)
  const tasks = api.view().executors.flatMap((executor) => executor.tasks)
  const written = (wanted: (task: AgentTaskView) => boolean): readonly JsonObject[] =>
    tasks.filter(wanted).map((task) => write(Task, taskOf(api, task)))
  return {
    pending_tasks: [],
    queued_tasks: written(({ isQueued, state }) => isQueued && !isTerminal(state)),
    launched_tasks: written(({ isQueued, state }) => !isQueued && !isTerminal(state)),
    terminated_tasks: written(({ state }) => isTerminal(state)),
    completed_tasks: [],
  }
}

/** No command, no environment, no data: what a Task is in state endpoints. */
function taskOf(api: AgentApi, { info, frameworkId, executorId, state }: AgentTaskView): Task {
  const { labels, discovery, container, health_check, kill_policy, limits } = info
  return {
    name: info.name,
    task_id: info.task_id,
    framework_id: { value: frameworkId },
    executor_id: { value: executorId },
    agent_id: { value: api.status().agentId ?? '' },
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

function executorsOf(api: AgentApi, options: AgentFaceOptions): JsonObject {
  const write = shown(api, options)
  const executors = api.view().executors.map((executor) => ({
    executor_info: write(ExecutorInfo, infoOf(executor)),
  }))
  return { executors, completed_executors: [] }
}

const infoOf = ({ info, frameworkId }: AgentExecutorView): ExecutorInfo => ({
  ...info,
  framework_id: { value: frameworkId },
})

function frameworksOf(api: AgentApi): JsonObject {
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
    frameworks: [...byId.values()].map((info) => ({
      framework_info: toJson(FrameworkInfo, info),
    })),
    completed_frameworks: [],
  }
}

function containersOf(api: AgentApi): readonly JsonObject[] {
  const { containers, executors } = api.view()
  return containers.map(({ name, frameworkId, executorId }) => {
    const executor = executors.find(
      (one) => one.frameworkId === frameworkId && one.executorId === executorId,
    )
    const status = { container_id: toJson(ContainerId, containerIdOf(name)) }
    return {
      framework_id: { value: frameworkId },
      executor_id: { value: executorId },
      ...(executor === undefined ? {} : { executor_name: executor.info.name ?? '' }),
      container_id: toJson(ContainerId, containerIdOf(name)),
      container_status: status,
    }
  })
}
