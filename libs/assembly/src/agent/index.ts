export { AgentDirectoryUnusable } from './agent-directory.ts'
export type { ImagesChoice } from './images.ts'
export { usualResolver, type SecretResolverChoice } from './secret-resolver.ts'
export { startAgent, type RunningAgent, type StartAgentOptions } from './start-agent.ts'
