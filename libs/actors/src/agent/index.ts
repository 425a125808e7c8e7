export {
  AgentActor,
  usualAgentLimits,
  type AgentActorOptions,
  type AgentEffect,
  type AgentInput,
  type AgentLimits,
} from './agent-actor.ts'
export {
  ContainerRefused,
  type Container,
  type ContainerExit,
  type ContainerRuntime,
  type ContainerSpec,
  type ContainerUser,
  type Exec,
  type OutputChunk,
} from './container-runtime.ts'
