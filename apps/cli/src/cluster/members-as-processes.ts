import { join } from 'node:path'
import {
  agentDirectory,
  dockerSocketIn,
  logFile,
  masterDirectory,
  runDirectory,
  schedulerDirectory,
} from '@conclave/assembly'
import { utf8Text } from '@conclave/kernel'
import { writePrivateJson } from '../context.ts'
import { engineSettingsOf } from './engine.ts'
import { anyPort, type Kind, type MemberPlan, type MembersOptions } from './member.ts'
import { startProcess } from './process-member.ts'

/** Every member as a process of its own, started with a file that its app could also be given by hand. */
export function membersAsProcesses(options: MembersOptions): readonly MemberPlan[] {
  const { directory, manifest, snapshotEntries, simulatedImages } = options
  const { faithfulLeaks: isLeaky, ...ofAgents } = options.agentSettings ?? {}
  const ofMasters = {
    // The file is for its owner alone, as a password in it must be.
    peerWire: utf8Text(options.peerWire.reveal()),
    ...engineSettingsOf(options.engine),
    ...(snapshotEntries !== undefined && { snapshotEntries }),
    ...(simulatedImages !== undefined && { simulatedImages }),
  }
  return [
    ...manifest.masters.map(({ masterId }) => {
      const own = masterDirectory(directory, masterId)
      const docker = dockerSocketIn(own, manifest.superuser)
      const more = docker && { dockerSocket: docker.path, dockerUser: docker.uid }
      return plan(
        options,
        'master',
        masterId,
        own,
        { ...ofMasters, ...more },
        options.faithfulLeaks,
      )
    }),
    ...manifest.agents.map((id) =>
      plan(
        options,
        'agent',
        id,
        agentDirectory(directory, id),
        { ...anyPort, ...ofAgents },
        isLeaky === true,
      ),
    ),
    ...manifest.schedulers.map(({ schedulerId, uid }) =>
      plan(options, 'scheduler', schedulerId, schedulerDirectory(directory, schedulerId), {
        account: uid,
      }),
    ),
  ]
}

function plan(
  { directory, addresses }: MembersOptions,
  kind: Kind,
  id: string,
  own: string,
  more: object,
  isLeaky = false,
): MemberPlan {
  const configFile = join(runDirectory(directory), `${id}.json`)
  return {
    id,
    kind,
    directory: own,
    start: (signal) => {
      writePrivateJson(configFile, {
        dataDirectory: own,
        masters: addresses,
        stopWithInput: true,
        ...more,
      })
      // No file says it: what lies there must not make the next start leak.
      const args = isLeaky ? ['--faithful-leaks', 'true'] : []
      const options = { id, kind, configFile, args, logFile: logFile(directory, id) }
      return startProcess({ ...options, ...(signal && { signal }) })
    },
  }
}
