import { CommandInfo } from './command.ts'
import { ContainerInfo } from './container.ts'
import { ContainerId, containerIdProblem } from './id.ts'
import {
  bytes,
  enumeration,
  int,
  map,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Resource, Scalar } from './resource.ts'
import { variableProblem } from './secret-problem.ts'
import { DurationInfo } from './task-info.ts'
import { volumeProblem } from './volume-problem.ts'

/*
 * The agent's operator API. Source: mesos.md §7.
 */

const containerCall = (name: string) => message(name, { container_id: required(ContainerId) })

const launch = {
  container_id: required(ContainerId),
  command: optional(CommandInfo),
  container: optional(ContainerInfo),
}

export const ProcessIo = message('agent.ProcessIO', {
  type: optional(enumeration('UNKNOWN', 'DATA', 'CONTROL')),
  data: optional(
    message('ProcessIO.Data', {
      type: optional(enumeration('UNKNOWN', 'STDIN', 'STDOUT', 'STDERR')),
      data: optional(bytes),
    }),
  ),
  control: optional(
    message('ProcessIO.Control', {
      type: optional(enumeration('UNKNOWN', 'TTY_INFO', 'HEARTBEAT')),
      tty_info: optional(
        message('TTYInfo', {
          window_size: optional(
            message('TTYInfo.WindowSize', { rows: required(uint), columns: required(uint) }),
          ),
        }),
      ),
      heartbeat: optional(
        message('ProcessIO.Control.Heartbeat', { interval: optional(DurationInfo) }),
      ),
    }),
  ),
})
export type ProcessIo = Infer<typeof ProcessIo>

const killCall = message('agent.Call.KillContainer', {
  container_id: required(ContainerId),
  signal: optional(int),
})

export const AgentCall = message('agent.Call', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'GET_HEALTH',
      'GET_FLAGS',
      'GET_VERSION',
      'GET_METRICS',
      'GET_LOGGING_LEVEL',
      'SET_LOGGING_LEVEL',
      'LIST_FILES',
      'READ_FILE',
      'GET_STATE',
      'GET_CONTAINERS',
      'GET_FRAMEWORKS',
      'GET_EXECUTORS',
      'GET_OPERATIONS',
      'GET_TASKS',
      'GET_AGENT',
      'GET_RESOURCE_PROVIDERS',
      'LAUNCH_NESTED_CONTAINER',
      'WAIT_NESTED_CONTAINER',
      'KILL_NESTED_CONTAINER',
      'REMOVE_NESTED_CONTAINER',
      'LAUNCH_NESTED_CONTAINER_SESSION',
      'ATTACH_CONTAINER_INPUT',
      'ATTACH_CONTAINER_OUTPUT',
      'LAUNCH_CONTAINER',
      'WAIT_CONTAINER',
      'KILL_CONTAINER',
      'REMOVE_CONTAINER',
      'ADD_RESOURCE_PROVIDER_CONFIG',
      'UPDATE_RESOURCE_PROVIDER_CONFIG',
      'REMOVE_RESOURCE_PROVIDER_CONFIG',
      'MARK_RESOURCE_PROVIDER_GONE',
      'PRUNE_IMAGES',
    ),
  ),
  get_metrics: optional(message('agent.Call.GetMetrics', { timeout: optional(DurationInfo) })),
  set_logging_level: optional(
    message('agent.Call.SetLoggingLevel', {
      level: required(uint),
      duration: required(DurationInfo),
    }),
  ),
  list_files: optional(message('agent.Call.ListFiles', { path: required(text) })),
  read_file: optional(
    message('agent.Call.ReadFile', {
      path: required(text),
      offset: required(uint),
      length: optional(uint),
    }),
  ),
  launch_nested_container: optional(message('agent.Call.LaunchNestedContainer', launch)),
  wait_nested_container: optional(containerCall('agent.Call.WaitNestedContainer')),
  kill_nested_container: optional(killCall),
  remove_nested_container: optional(containerCall('agent.Call.RemoveNestedContainer')),
  launch_nested_container_session: optional(
    message('agent.Call.LaunchNestedContainerSession', launch),
  ),
  attach_container_input: optional(
    message('agent.Call.AttachContainerInput', {
      type: optional(enumeration('UNKNOWN', 'CONTAINER_ID', 'PROCESS_IO')),
      container_id: optional(ContainerId),
      process_io: optional(ProcessIo),
    }),
  ),
  attach_container_output: optional(containerCall('agent.Call.AttachContainerOutput')),
  launch_container: optional(
    message('agent.Call.LaunchContainer', {
      ...launch,
      resources: repeated(Resource),
      limits: optional(map(Scalar)),
    }),
  ),
  wait_container: optional(containerCall('agent.Call.WaitContainer')),
  kill_container: optional(killCall),
  remove_container: optional(containerCall('agent.Call.RemoveContainer')),
})
export type AgentCall = Infer<typeof AgentCall>
export type AgentCallType = NonNullable<AgentCall['type']>

/** Calls with a part of the same name. */
const withPart = [
  'GET_METRICS',
  'SET_LOGGING_LEVEL',
  'LIST_FILES',
  'READ_FILE',
  'LAUNCH_NESTED_CONTAINER',
  'WAIT_NESTED_CONTAINER',
  'KILL_NESTED_CONTAINER',
  'REMOVE_NESTED_CONTAINER',
  'LAUNCH_NESTED_CONTAINER_SESSION',
  'ATTACH_CONTAINER_INPUT',
  'ATTACH_CONTAINER_OUTPUT',
  'LAUNCH_CONTAINER',
  'WAIT_CONTAINER',
  'KILL_CONTAINER',
  'REMOVE_CONTAINER',
] as const satisfies readonly AgentCallType[]

/** Calls of nested containers alone. The forms without `NESTED` take any container. */
const nestedOnly: ReadonlySet<string> = new Set([
  'launch_nested_container',
  'wait_nested_container',
  'kill_nested_container',
  'remove_nested_container',
  'launch_nested_container_session',
])

interface Part {
  readonly container_id?: ContainerId | undefined
  readonly command?: CommandInfo | undefined
  readonly container?: ContainerInfo | undefined
}

/** The `<reason>` of `Failed to validate agent::Call: <reason>`, or undefined. */
export function agentCallProblem(call: AgentCall): string | undefined {
  const { type } = call
  if (type === undefined) return "Expecting 'type' to be present"
  const known = withPart.find((one) => one === type)
  if (known === undefined) return undefined
  const name = known.toLowerCase() as Lowercase<typeof known>
  const part = call[name] as Part | undefined
  if (part === undefined) return `Expecting '${name}' to be present`
  if (name === 'attach_container_input') return inputProblem(call.attach_container_input)
  return partProblem(name, part)
}

function partProblem(
  name: string,
  { container_id: id, command, container }: Part,
): string | undefined {
  if (id === undefined) return undefined
  const problem = containerIdProblem(id)
  if (problem !== undefined) return `'${name}.container_id' is invalid: ${problem}`
  if (nestedOnly.has(name) && id.parent === undefined) {
    return `Expecting '${name}.container_id.parent' to be present`
  }
  for (const variable of command?.environment?.variables ?? []) {
    const wrong = variableProblem(variable)
    if (wrong !== undefined) return `'${name}.command' is invalid: ${wrong}`
  }
  for (const volume of container?.volumes ?? []) {
    const wrong = volumeProblem(volume)
    if (wrong !== undefined) return `'${name}.container' is invalid: Invalid volume: ${wrong}`
  }
  return undefined
}

/** The first record of ATTACH_CONTAINER_INPUT names the container, the others carry input. */
function inputProblem(part: AgentCall['attach_container_input']): string | undefined {
  if (part?.type === undefined) return "Expecting 'attach_container_input.type' to be present"
  if (part.type === 'CONTAINER_ID') {
    if (part.container_id === undefined) {
      return "Expecting 'attach_container_input.container_id' to be present"
    }
    const problem = containerIdProblem(part.container_id)
    return problem && `'attach_container_input.container_id' is invalid: ${problem}`
  }
  if (part.type === 'PROCESS_IO' && part.process_io === undefined) {
    return "Expecting 'attach_container_input.process_io' to be present"
  }
  return part.type === 'UNKNOWN' ? "'attach_container_input.type' is unknown" : undefined
}
