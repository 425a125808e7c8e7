import { rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import {
  agentOptionsOf,
  forgetCompileCache,
  parseDockerHost,
  readAgentSettings,
  startDockerEngine,
  thisProcess,
  urlsOf,
  type DockerDoors,
  type DockerTls,
  type Founded,
} from '@conclave/assembly'
import { createLogger } from '@conclave/runtime'
import { agentSettings } from './agent-settings.ts'
import { anyPort } from './cluster/member.ts'
import { writePrivateJson, type Context } from './context.ts'
import { CommandFailed } from './failure.ts'

export interface EngineCommandOptions {
  readonly data: string
  readonly host?: readonly string[]
  readonly tlsverify?: boolean
  readonly tlscacert?: string
  readonly tlscert?: string
  readonly tlskey?: string
  readonly plainTcp?: boolean
  readonly hostname?: string
  readonly user: string
  readonly agentSetting?: readonly string[]
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** One machine in the foreground, until it is told to stop. @returns the exit code */
export async function runEngine(options: EngineCommandOptions): Promise<number> {
  forgetCompileCache()
  const directory = resolve(options.data)
  const settings = await readAgentSettings({
    ...anyPort,
    ...(await agentSettings(options.agentSetting ?? [])),
  })
  const { hostname: _hostname, ...agent } = agentOptionsOf(settings)
  const context = join(directory, 'context.json')
  const ended = thisProcess.ended(false)
  const engine = await startDockerEngine({
    directory,
    doors: { ...doorsOf(directory, options), simulatedImages: settings.simulatedImages },
    hostname: options.hostname ?? hostname(),
    agent,
    onFounded: (made) => writePrivateJson(context, contextOf(made)),
    onLeft: () => rmSync(context, { force: true }),
    log: createLogger({ level: options.logLevel, to: 'stderr', base: { app: 'engine' } }),
  })
  const { hosts, state } = engine
  thisProcess.out(`${JSON.stringify({ ready: true, pid: process.pid, hosts, swarm: state })}\n`)
  await ended
  await engine.stop()
  return 0
}

/** For `conclave` itself, beside the docker CLI: `CONCLAVE_CONTEXT=DIR/context.json conclave …`. */
const contextOf = ({ clusterId, place, uid, password }: Founded): Context => ({
  clusterId,
  masters: [urlsOf(place)],
  uid,
  password: Buffer.from(password.reveal()).toString('utf8'),
})

function doorsOf(directory: string, options: EngineCommandOptions): DockerDoors {
  const hosts = (options.host ?? [`unix://${join(directory, 'docker.sock')}`]).map(parseDockerHost)
  const sockets = hosts.flatMap((host) => ('path' in host ? [host.path] : []))
  if (sockets.length > 1) throw new CommandFailed('usage', 'give one unix socket at most')
  const [path] = sockets
  if (path !== undefined && Buffer.byteLength(path) > 103) {
    throw new CommandFailed(
      'usage',
      `${path} is too long for a socket: 103 bytes at most; name another with -H`,
    )
  }
  const tls = tlsOf(options)
  return {
    uid: options.user,
    ...(path !== undefined && { path }),
    ports: hosts.flatMap((host) =>
      'path' in host ? [] : [{ ...host, tls, isExposed: options.plainTcp === true }],
    ),
  }
}

/** As dockerd has it, but for `--tls` alone: whoever is not known by a certificate is nobody. */
function tlsOf({
  tlsverify,
  tlscacert,
  tlscert,
  tlskey,
}: EngineCommandOptions): DockerTls | undefined {
  if (tlscacert !== undefined && tlscert !== undefined && tlskey !== undefined) {
    return { caFile: resolve(tlscacert), certFile: resolve(tlscert), keyFile: resolve(tlskey) }
  }
  const isAny =
    tlsverify === true || [tlscacert, tlscert, tlskey].some((file) => file !== undefined)
  if (!isAny) return undefined
  throw new CommandFailed('usage', 'TLS takes all three: --tlscacert, --tlscert and --tlskey')
}
