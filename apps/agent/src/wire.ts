import { agentOptionsOf, startMemberAgent, type AppMember } from '@conclave/assembly'
import type { Config, Log } from '@conclave/runtime'
import type { settings } from './config.ts'

/** Starts the one agent of this process. It cannot fail for good: it goes on looking for a leader. */
export async function wire(config: Config<typeof settings>, log: Log): Promise<AppMember> {
  const { name, agent } = await startMemberAgent({
    directory: config.dataDirectory,
    masters: config.masters,
    ...agentOptionsOf(config),
    log,
  })
  return {
    ready: Promise.resolve({ agent: name, mesos: agent.listensAt }),
    failed: new Promise(() => undefined),
    stop: () => agent.stop(),
  }
}
