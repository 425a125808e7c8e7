import { hash } from 'node:crypto'
import { humanDuration, rfc3339, zeroTime } from '../times.ts'
import { exitCodeOf, type Container } from './container.ts'
import { commandText, processOf } from './process.ts'

/* A container as the Engine shows it. Nothing of a secret: dockerd shows none either. Source: objects.json. */

export interface ContainerSummary {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Image: string
  readonly ImageID: string
  readonly Command: string
  /** Seconds since 1970. */
  readonly Created: number
  readonly Ports: readonly object[]
  readonly Labels: Readonly<Record<string, string>>
  readonly State: string
  readonly Status: string
  readonly HostConfig: { readonly NetworkMode: string }
  readonly NetworkSettings: { readonly Networks: object }
  readonly Mounts: readonly object[]
  readonly SizeRw?: number
  readonly SizeRootFs?: number
}

export const containerSummary = (
  container: Container,
  nowMs: number,
  hasSize = false,
): ContainerSummary => ({
  Id: container.id,
  Names: [`/${container.name}`],
  Image: container.image,
  ImageID: imageIdOf(container),
  Command: commandText(processOf(container)),
  Created: Math.floor(container.createdAtMs / 1000),
  Ports: [],
  Labels: container.labels,
  State: container.state,
  Status: statusText(container, nowMs),
  HostConfig: { NetworkMode: 'default' },
  NetworkSettings: { Networks: {} },
  Mounts: [],
  // Nobody counts what a container has written.
  ...(hasSize && { SizeRw: 0, SizeRootFs: 0 }),
})

export const imageIdOf = ({ image }: Container): string =>
  `sha256:${hash('sha256', `image ${image}`, 'hex')}`

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

export function containerInspect(container: Container, hasSize: boolean): object {
  const { id, name, image, spec, labels, task, createdAtMs, state } = container
  const argv = processOf(container)
  const isRunning = state === 'running'
  const health = healthOf(container)
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
    Image: imageIdOf(container),
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
    },
    ...(hasSize && { SizeRw: 0, SizeRootFs: 0 }),
    Mounts: [],
    Config: {
      Hostname: spec.Hostname || id.slice(0, 12),
      Domainname: '',
      User: spec.User ?? '',
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      Tty: spec.TTY ?? false,
      OpenStdin: false,
      StdinOnce: false,
      Env: spec.Env ?? null,
      Cmd: argv.length === 0 ? null : argv,
      Image: spec.Image ?? image,
      Volumes: null,
      WorkingDir: spec.Dir ?? '',
      Entrypoint: null,
      Labels: labels,
    },
    NetworkSettings: { Ports: {}, Networks: {} },
  }
}
