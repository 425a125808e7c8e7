import type { Volume } from '@conclave/model'
import type { Amounts, ContainerSpec, Healthcheck, ServiceSpec } from './service-spec.ts'

/*
 * What a task of a service is launched as: TaskInfo-like JSON without ids. Source: reference mesos.md §2.
 */

const secondNs = 1_000_000_000
const mebibyte = 1024 * 1024

/** What a task that reserves nothing takes all the same: a task of nothing is not launched. */
const leastCpus = 0.001
const leastMem = 1

/** @param volumes what its secrets and configs are in the container */
export function templateOf(
  spec: ServiceSpec,
  serviceId: string,
  volumes: readonly Volume[],
): Readonly<Record<string, unknown>> {
  const { ContainerSpec = {}, Resources } = spec.TaskTemplate ?? {}
  const container = ContainerSpec ?? {}
  const name = spec.Name ?? ''
  const health = healthCheck(container.Healthcheck ?? {})
  return {
    name,
    command: commandOf(container),
    container: {
      type: 'MESOS',
      mesos: { image: { type: 'DOCKER', docker: { name: container.Image ?? '' } } },
      ...(container.Hostname && { hostname: container.Hostname }),
      ...(container.TTY && { tty_info: {} }),
      volumes,
      service: serviceOf(spec, serviceId, volumes),
    },
    ...amountsOf(Resources?.Reservations ?? {}, Resources?.Limits ?? {}),
    ...(health && { health_check: health }),
    kill_policy: { grace_period: { nanoseconds: container.StopGracePeriod ?? 10 * secondNs } },
    labels: { labels: labelsOf(container, serviceId, name) },
  }
}

/**
 * What templates in variables, the hostname and files may say of the service, and how its containers begin and end. Its labels only where they might be
 * asked for: whatever is in here replaces the tasks when it changes.
 */
function serviceOf(spec: ServiceSpec, id: string, volumes: readonly Volume[]): object {
  const { Env, Hostname, Dir, StopSignal, OpenStdin } = spec.TaskTemplate?.ContainerSpec ?? {}
  const texts = [...(Env ?? []), Hostname ?? '']
  const mayAsk =
    volumes.some(({ file }) => file?.template !== undefined) ||
    texts.some((text) => text.includes('.Labels'))
  return {
    id,
    name: spec.Name ?? '',
    ...(mayAsk && { labels: spec.Labels ?? {} }),
    ...(Dir && { workdir: Dir }),
    ...(StopSignal && { stop_signal: StopSignal }),
    ...(OpenStdin && { open_stdin: true }),
  }
}

/** An entry point that is given takes the place of the image's, and arguments that of its command. */
function commandOf({ Command, Args, Env, User }: ContainerSpec): object {
  const entry = Command ?? []
  const given = [...entry, ...(Args ?? [])]
  return {
    shell: false,
    docker_arguments: true,
    ...(entry.length > 0 && { value: entry[0] }),
    ...(given.length > 0 && { arguments: given }),
    // Images that are simulated name nobody, and then it is root as in Docker.
    user: User || 'root',
    ...environmentOf(Env ?? []),
  }
}

/** A variable without a value is one that the container shall not have. */
function environmentOf(texts: readonly string[]): object {
  const variables = texts.flatMap((text) => {
    const at = text.indexOf('=')
    return at < 1 ? [] : [{ name: text.slice(0, at), value: text.slice(at + 1) }]
  })
  return variables.length === 0 ? {} : { environment: { variables } }
}

const scalar = (name: string, value: number): object => ({
  name,
  type: 'SCALAR',
  scalar: { value },
})

/** A limit below what is reserved is one of what is reserved. */
function amountsOf(reserved: Amounts, limits: Amounts): object {
  const cpus = Math.max(leastCpus, amount(reserved.NanoCPUs, 1e9))
  const mem = Math.max(leastMem, amount(reserved.MemoryBytes, mebibyte))
  const limited = {
    ...(limits.NanoCPUs && { cpus: { value: Math.max(cpus, amount(limits.NanoCPUs, 1e9)) } }),
    ...(limits.MemoryBytes && {
      mem: { value: Math.max(mem, amount(limits.MemoryBytes, mebibyte)) },
    }),
  }
  return {
    resources: [scalar('cpus', cpus), scalar('mem', mem)],
    ...(Object.keys(limited).length > 0 && { limits: limited }),
  }
}

/** Amounts have three decimals in Mesos. */
const amount = (count: number | null | undefined, unit: number): number =>
  Math.ceil(((count ?? 0) / unit) * 1000) / 1000

/** Docker's defaults where nothing is said; an image's own check is not known here. */
function healthCheck(check: Healthcheck): object | undefined {
  const [kind, ...test] = check.Test ?? []
  if ((kind !== 'CMD' && kind !== 'CMD-SHELL') || test.length === 0) return undefined
  const command =
    kind === 'CMD'
      ? { shell: false, value: test[0], arguments: test }
      : { shell: true, value: test.join(' ') }
  return {
    type: 'COMMAND',
    command,
    delay_seconds: 0,
    interval_seconds: seconds(check.Interval, 30),
    timeout_seconds: seconds(check.Timeout, 30),
    grace_period_seconds: seconds(check.StartPeriod, 0),
    consecutive_failures: check.Retries || 3,
  }
}

const seconds = (ns: number | null | undefined, usual: number): number =>
  ns ? ns / secondNs : usual

/** A task's own labels, its id among them, are added where it is shown. */
function labelsOf({ Labels }: ContainerSpec, serviceId: string, name: string): readonly object[] {
  const labels = {
    ...Labels,
    'com.docker.swarm.service.id': serviceId,
    'com.docker.swarm.service.name': name,
  }
  return Object.entries(labels).map(([key, value]) => ({ key, value }))
}
