export { AgentDirectoryUnusable } from './agent-directory.ts'
export { startAgent, type RunningAgent, type StartAgentOptions } from './start-agent.ts'
