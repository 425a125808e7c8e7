import {
  agentOptionsOf,
  enrol,
  loadEnrolment,
  readAgentSettings,
  startMemberAgent,
  thisProcess,
} from '@conclave/assembly'
import type { RedactedBytes } from '@conclave/kernel'
import { createLogger } from '@conclave/runtime'
import { agentSettings } from './agent-settings.ts'
import { CommandFailed } from './failure.ts'

export interface JoinAsAgent {
  readonly directory: string
  readonly address: { readonly host: string; readonly port: number } | undefined
  readonly token: RedactedBytes | undefined
  readonly hostname: string | undefined
  /** Each `name=value`. */
  readonly settings: readonly string[]
}

/**
 * One agent in the foreground: it joins with a token unless it has joined already, and runs until it is
 * told to stop. @returns the exit code
 */
export async function joinAsAgent(options: JoinAsAgent): Promise<number> {
  const { directory, address, token, hostname } = options
  const settings = agentOptionsOf(await readAgentSettings(await agentSettings(options.settings)))
  const log = createLogger({ level: 'info', to: 'stderr', base: { source: 'agent' } })
  if (token !== undefined && address !== undefined) {
    await enrol({ address, token, directory, role: 'agent', log })
  } else if (token !== undefined || address !== undefined) {
    throw new CommandFailed('usage', 'joining takes both: --address, and --token-file or --token')
  }
  const enrolment = await loadEnrolment(directory)
  if (enrolment === undefined) {
    throw new CommandFailed(
      'usage',
      `${directory} has not joined yet: give --address and --token-file (conclave cluster join-token agent)`,
    )
  }
  const { name, agent } = await startMemberAgent({
    directory,
    masters: enrolment.masters,
    log,
    ...settings,
    ...(hostname !== undefined && { hostname }),
  })
  const ended = thisProcess.ended(false)
  thisProcess.out(
    `${JSON.stringify({ ready: true, pid: process.pid, agent: name, mesos: agent.listensAt })}\n`,
  )
  await ended
  await agent.stop()
  return 0
}
