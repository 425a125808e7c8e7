export { AgentActor } from './agent-actor.ts'
export { usualAgentLimits, type AgentActorOptions, type AgentLimits } from './agent-options.ts'
export type * from './api/agent-api.ts'
export type { LeftFiles, LeftPath } from './leaks/left-file.ts'
export { containerIdOf, containerName, rootOf } from './container-name.ts'
export type { AgentEffect, AgentInput } from './agent-effect.ts'
export {
  ContainerRefused,
  ProgramRefused,
  type Container,
  type ContainerExit,
  type ContainerRuntime,
  type ContainerSpec,
  type ContainerUser,
  type ContainerUsage,
  type Exec,
  type ExecHow,
  type HelperProcess,
  type OutputChunk,
  type ProgramInput,
  type OutputWanted,
} from './container-runtime.ts'
export { templateFault } from './templates.ts'
