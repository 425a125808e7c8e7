export { mesosAgentFace, mesosAgentServerOptions, type AgentFaceOptions } from './face.ts'
