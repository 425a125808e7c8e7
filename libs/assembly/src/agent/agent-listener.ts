import { join } from 'node:path'
import type { AgentApi, ContainerRuntime } from '@conclave/actors'
import { mesosAgentFace, mesosAgentServerOptions } from '@conclave/faces-mesos-agent'
import { Redacted, utf8Text, type Random, type RedactedBytes } from '@conclave/kernel'
import { LogVerbosity, ProcessRuntime, type Log } from '@conclave/runtime'
import type { KeptFiles } from './kept-files.ts'
import { FaceExposed, FaceListener, isLoopback } from '../master/face-listener.ts'

/** Where an agent answers HTTP itself, and how freely. */
export interface AgentListenerOptions {
  readonly host: string
  /** 0: any that is free. Mesos: 5051. */
  readonly port: number
  /** Whether executors have to show their tokens. Default: they have. */
  readonly authenticateExecutors?: boolean
  /** Shows inline values where Mesos does, for teaching. Default: nowhere. */
  readonly faithfulLeaks?: boolean
  /** Of the whole agent: told in its flags, as by Mesos, where leaks are wanted, and nowhere else. */
  readonly dockerConfig?: RedactedBytes
  /**
   * Where executors of frameworks run: in the agent's own runtime, or as plain processes of this
   * machine, which isolate nothing and run as this agent's user.
   */
  readonly executors?: 'memory' | 'process'
}

const tokenKeyBytes = 32

/**
 * The key that signs executors' tokens: drawn for this life of the agent and kept nowhere, since no
 * container outlives the agent that could show one of another.
 */
export const executorTokenKey = (random: Random): RedactedBytes =>
  new Redacted(random.bytes(tokenKeyBytes))

/** Undefined: where everything else runs. */
export const executorRuntimeOf = (
  directory: string,
  listener: AgentListenerOptions | undefined,
): ContainerRuntime | undefined =>
  listener?.executors === 'process'
    ? new ProcessRuntime({ directory: join(directory, 'executors') })
    : undefined

/** @throws FaceListenFailed, FaceExposed */
export async function listen(
  api: AgentApi,
  options: AgentListenerOptions,
  keptFiles: KeptFiles | undefined,
  log: Log,
): Promise<FaceListener> {
  const { host, port, authenticateExecutors = true, faithfulLeaks = false } = options
  const leaked = faithfulLeaks ? utf8Text(options.dockerConfig?.reveal() ?? new Uint8Array()) : ''
  if (!isLoopback(host)) throw new FaceExposed(host)
  return FaceListener.start({
    face: 'mesos-agent',
    plugin: mesosAgentFace(api, {
      authenticateExecutors,
      faithfulLeaks,
      ...(keptFiles && { fetchedInto: keptFiles.of }),
      logging: new LogVerbosity(log),
      flags: {
        authenticate_http_executors: `${authenticateExecutors}`,
        authenticate_http_readonly: 'true',
        authenticate_http_readwrite: 'true',
        executors: options.executors ?? 'memory',
        faithful_leaks: `${faithfulLeaks}`,
        isolation: 'environment_secret,volume/secret',
        ...(leaked !== '' && { docker_config: leaked }),
      },
    }),
    server: mesosAgentServerOptions,
    host,
    port,
    // Input of a container may take as long as somebody types.
    requestSeconds: 0,
    log,
    onAnswered: () => undefined,
  })
}
