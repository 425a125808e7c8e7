import type { TaskUsage } from '@conclave/actors'
import { rfc3339, zeroTime } from '../times.ts'
import type { Container } from './container.ts'

/** What was measured, and when. */
export interface Sample {
  readonly usage: TaskUsage
  readonly atMs: number
}

/**
 * What `docker stats` shows, as cgroups would tell it. Simulated programs have files in memory, a process table and
 * a turn on their agent's one thread, and that is measured; sockets, caches and faults they have none, so those are 0.
 * Source: moby, `api/types/container/stats.go`.
 */
export function statsOf(
  container: Container,
  now: Sample | undefined,
  before: Sample | undefined,
): object {
  const { usage } = now ?? {}
  return {
    name: `/${container.name}`,
    id: container.id,
    read: now === undefined ? zeroTime : rfc3339(now.atMs),
    preread: before === undefined ? zeroTime : rfc3339(before.atMs),
    pids_stats: usage === undefined ? {} : { current: usage.processes, limit: usage.processesMax },
    blkio_stats: blockStats(usage),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuStats(usage),
    precpu_stats: cpuStats(before?.usage),
    memory_stats: usage === undefined ? {} : memoryStats(container, usage),
    // Containers have no sockets.
    networks: {},
  }
}

const nanoseconds = (ms: number): number => Math.round(ms * 1e6)

/** Time is shared among all processors of a machine, idle or not. A thread of its own is nobody's in the kernel. */
function cpuStats(usage: TaskUsage | undefined): object {
  const used = nanoseconds(usage?.cpuMs ?? 0)
  return {
    cpu_usage: { total_usage: used, usage_in_kernelmode: 0, usage_in_usermode: used },
    ...(usage && {
      system_cpu_usage: nanoseconds(usage.atMs * usage.processors),
      online_cpus: usage.processors,
    }),
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  }
}

/** Its service's limit, or else what there is for it: no more can be written. */
function memoryStats(container: Container, { memoryBytes, memoryBytesMax }: TaskUsage): object {
  const { limits } = container.task.spec.template as { limits?: { mem?: { value?: number } } }
  const limited = limits?.mem?.value
  const limit = limited === undefined ? memoryBytesMax : Math.round(limited * 1024 * 1024)
  return { usage: memoryBytes, stats: {}, limit }
}

/** From and to files, which are on no device. */
const blockStats = (usage: TaskUsage | undefined): object => ({
  io_service_bytes_recursive:
    usage === undefined
      ? null
      : [
          { major: 0, minor: 0, op: 'read', value: usage.readBytes },
          { major: 0, minor: 0, op: 'write', value: usage.writtenBytes },
        ],
  io_serviced_recursive: null,
  io_queue_recursive: null,
  io_service_time_recursive: null,
  io_wait_time_recursive: null,
  io_merged_recursive: null,
  io_time_recursive: null,
  sectors_recursive: null,
})
