import { mkdir } from 'node:fs/promises'
import { NodeDisk } from '@conclave/journal'
import { PluginDrivers } from '@conclave/secret-plugins'
import { masterNow } from '@conclave/faces-docker'
import { silentLog, SystemClock, SystemRandom, type Log } from '@conclave/runtime'
import type { Clock, Random } from '@conclave/kernel'
import { listenForDocker, type DockerDoors } from '../master/docker-doors.ts'
import type { FaceListener } from '../master/face-listener.ts'
import { DockerEngine, type DockerEngineOptions } from './docker-engine.ts'

export interface StartDockerEngineOptions extends Pick<
  DockerEngineOptions,
  'directory' | 'hostname' | 'agent'
> {
  /** Everywhere that the docker CLI finds it. */
  readonly doors: DockerDoors
  readonly onFounded?: DockerEngineOptions['onFounded']
  readonly onLeft?: DockerEngineOptions['onLeft']
  readonly log?: Log
  readonly clock?: Clock
  readonly random?: Random
}

export interface RunningDockerEngine {
  /** What the machine is to a swarm, in the words of `docker info`. */
  readonly state: string
  /** Where it really listens, as `docker -H` takes it. */
  readonly hosts: readonly string[]
  /** Ends what it runs, in good order; it goes on with it at the next start. */
  stop(): Promise<void>
  /** As `kill -9` does. */
  destroy(): Promise<void>
}

/**
 * Starts a machine that docker's CLI can take into a swarm and out of it: in none, or in the one that it was in.
 *
 * @throws MemberFileUnusable, FaceListenFailed, FaceExposed, JournalLocked when another process has its directory
 */
export async function startDockerEngine(
  options: StartDockerEngineOptions,
): Promise<RunningDockerEngine> {
  const { doors, directory, hostname, log = silentLog } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const lock = await new NodeDisk().lock(directory)
  const engine = new DockerEngine({
    ...options,
    uid: doors.uid,
    log,
    clock: options.clock ?? new SystemClock(),
    random: options.random ?? new SystemRandom(),
  })
  let listeners: readonly FaceListener[]
  try {
    await engine.start()
    const master = masterNow(() => engine.api)
    const secretDrivers = new PluginDrivers()
    listeners = await listenForDocker({ doors, master, node: engine, hostname, secretDrivers, log })
  } catch (error) {
    await engine.destroy()
    await lock.release()
    throw error
  }
  const ports = listeners.slice(doors.path === undefined ? 0 : 1).map(({ port }) => port)
  return {
    get state() {
      return engine.state.is
    },
    hosts: [
      ...(doors.path === undefined ? [] : [`unix://${doors.path}`]),
      ...(doors.ports ?? []).map(({ host }, at) => `tcp://${bracketed(host)}:${ports[at]}`),
    ],
    stop: async () => {
      await Promise.all(listeners.map((listener) => listener.close()))
      await engine.stop()
      await lock.release()
    },
    destroy: async () => {
      await Promise.all(listeners.map((listener) => listener.destroy()))
      await engine.destroy()
      // Of a process that is gone it counts no more; this one goes on.
      await lock.release()
    },
  }
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)
