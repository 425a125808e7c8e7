import { hash } from 'node:crypto'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { writtenSpec } from '../services/service-object.ts'
import { humanDuration, rfc3339, zeroTime } from '../times.ts'
import { exitCodeOf, type Container } from './container.ts'
import { commandText, imageOf, processOf } from './process.ts'
import type { Surroundings } from './surroundings.ts'

/* A container as the Engine shows it. Nothing of a secret: dockerd shows none either. Source: objects.json. */

export interface ContainerSummary {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Image: string
  readonly ImageID: string
  readonly Command: string
  /** Seconds since 1970. */
  readonly Created: number
  readonly Ports: Surroundings['ports']
  readonly Labels: Readonly<Record<string, string>>
  readonly State: string
  readonly Status: string
  readonly HostConfig: { readonly NetworkMode: string }
  readonly NetworkSettings: { readonly Networks: object }
  readonly Mounts: Surroundings['mounts']
}

export const containerSummary = (
  container: Container,
  mode: SimulatedImagesMode,
  { networks, ports, mounts }: Surroundings,
  nowMs: number,
): ContainerSummary => ({
  Id: container.id,
  Names: [`/${container.name}`],
  Image: container.image,
  ImageID: imageIdOf(container, mode),
  Command: commandText(processOf(container, imageOf(container, mode))),
  Created: Math.floor(container.createdAtMs / 1000),
  Ports: ports,
  Labels: container.labels,
  State: container.state,
  Status: statusText(container, nowMs),
  HostConfig: { NetworkMode: 'default' },
  NetworkSettings: { Networks: endpoints(networks) },
  Mounts: mounts,
})

/** What an agent pulled from a registry of its own has an id that is not known here: then it follows from the name. */
export const imageIdOf = (container: Container, mode: SimulatedImagesMode): string =>
  imageOf(container, mode)?.id ?? `sha256:${hash('sha256', `image ${container.image}`, 'hex')}`

/** Source: moby, `container/state.go`. */
function statusText(container: Container, nowMs: number): string {
  const { state, task } = container
  if (state === 'created') return 'Created'
  if (state === 'exited') {
    const ended = humanDuration(nowMs - (task.endedAtMs ?? task.stateAtMs))
    return `Exited (${exitCodeOf(container)}) ${ended} ago`
  }
  const up = `Up ${humanDuration(nowMs - (task.startedAtMs ?? task.stateAtMs))}`
  const health = healthOf(container)
  if (health === undefined) return up
  return `${up} (${health === 'starting' ? 'health: starting' : health})`
}

export type HealthState = 'starting' | 'healthy' | 'unhealthy'

/** Undefined for one that nobody checks. */
export function healthOf({ spec, task }: Container): HealthState | undefined {
  const [kind] = spec.Healthcheck?.Test ?? []
  if (kind === undefined || kind === 'NONE') return undefined
  if (task.healthy === undefined) return 'starting'
  return task.healthy ? 'healthy' : 'unhealthy'
}

export function containerInspect(
  container: Container,
  mode: SimulatedImagesMode,
  { networks, ports, mounts }: Surroundings,
): object {
  const { id, name, image, spec, labels, task, createdAtMs, state } = container
  const configuration = imageOf(container, mode)?.configuration
  const argv = processOf(container, imageOf(container, mode))
  const isRunning = state === 'running'
  const health = healthOf(container)
  const stopSignal = spec.StopSignal || configuration?.StopSignal
  return {
    Id: id,
    Created: rfc3339(createdAtMs),
    Path: argv[0] ?? '',
    Args: argv.slice(1),
    State: {
      Status: state,
      Running: isRunning,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      // Its own, as its programs see it: to this machine a simulated container is no process.
      Pid: isRunning ? 1 : 0,
      ExitCode: isRunning ? 0 : exitCodeOf(container),
      Error: '',
      StartedAt: task.startedAtMs === undefined ? zeroTime : rfc3339(task.startedAtMs),
      FinishedAt: state === 'exited' ? rfc3339(task.endedAtMs ?? task.stateAtMs) : zeroTime,
      ...(health && { Health: { Status: health, FailingStreak: 0, Log: [] } }),
    },
    Image: imageIdOf(container, mode),
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: '',
    Name: `/${name}`,
    RestartCount: 0,
    Driver: 'conclave',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: {
      NetworkMode: 'default',
      RestartPolicy: { Name: '', MaximumRetryCount: 0 },
      LogConfig: { Type: 'json-file', Config: {} },
      ...limitsOf(container),
    },
    GraphDriver: { Name: 'conclave', Data: null },
    Mounts: mounts,
    Config: {
      Hostname: spec.Hostname || id.slice(0, 12),
      Domainname: '',
      User: spec.User ?? '',
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      Tty: spec.TTY ?? false,
      OpenStdin: spec.OpenStdin ?? false,
      StdinOnce: false,
      Env: environmentOf(spec.Env ?? [], configuration?.Env ?? []),
      Cmd: argv.length === 0 ? null : argv,
      Image: spec.Image ?? image,
      Volumes: null,
      WorkingDir: spec.Dir || (configuration?.WorkingDir ?? ''),
      Entrypoint: null,
      ...(ports.length > 0 && { ExposedPorts: exposed(ports) }),
      ...(spec.Healthcheck && { Healthcheck: spec.Healthcheck }),
      Labels: labels,
      ...(stopSignal && { StopSignal: stopSignal }),
    },
    NetworkSettings: {
      Ports: Object.fromEntries(
        ports.map(({ PrivatePort, Type }) => [`${PrivatePort}/${Type}`, null]),
      ),
      Networks: endpoints(networks),
    },
  }
}

const exposed = (ports: Surroundings['ports']): object =>
  Object.fromEntries(ports.map(({ PrivatePort, Type }) => [`${PrivatePort}/${Type}`, {}]))

/** What its service limits and reserves, as the Engine calls it. */
function limitsOf({ task }: Container): object {
  const { Limits, Reservations } = writtenSpec(task.spec).TaskTemplate?.Resources ?? {}
  return {
    Memory: Limits?.MemoryBytes ?? 0,
    MemoryReservation: Reservations?.MemoryBytes ?? 0,
    NanoCpus: Limits?.NanoCPUs ?? 0,
  }
}

/** Which networks a container is on. Nothing is sent over any: it has no address. */
const endpoints = (networks: Surroundings['networks']): object =>
  Object.fromEntries(
    networks.map(({ Id, Name }) => [
      Name,
      {
        IPAMConfig: null,
        Links: null,
        Aliases: null,
        MacAddress: '',
        DriverOpts: null,
        NetworkID: Id,
        EndpointID: '',
        Gateway: '',
        IPAddress: '',
        IPPrefixLen: 0,
        IPv6Gateway: '',
        GlobalIPv6Address: '',
        GlobalIPv6PrefixLen: 0,
        DNSNames: null,
      },
    ]),
  )

const nameOf = (variable: string): string => variable.split('=', 1)[0] ?? ''

/** The image's, and what the service says of it in its place; nothing of a secret is among them. */
function environmentOf(
  own: readonly string[],
  images: readonly string[],
): readonly string[] | null {
  const names = new Set(own.map(nameOf))
  const all = [...images.filter((variable) => !names.has(nameOf(variable))), ...own]
  return all.length === 0 ? null : all
}
