import { loadAccountKey, startScheduler, urlsOf, type AppMember } from '@conclave/assembly'
import type { Config, Log } from '@conclave/runtime'
import type { settings } from './config.ts'

/** Starts the one scheduler of this process. It cannot fail for good: it goes on looking for a leader. */
export async function wire(config: Config<typeof settings>, log: Log): Promise<AppMember> {
  const scheduler = await startScheduler({
    directory: config.dataDirectory,
    masters: config.masters.map(urlsOf),
    account: { uid: config.account, privateKey: await loadAccountKey(config.dataDirectory) },
    name: config.name,
    failoverTimeoutSeconds: config.failoverTimeoutSeconds,
    log,
  })
  return {
    ready: scheduler.subscribed.then(() => ({ frameworkId: scheduler.frameworkId })),
    failed: new Promise(() => undefined),
    stop: () => scheduler.stop(),
  }
}
