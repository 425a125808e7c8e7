import type { Container } from './container.ts'

/**
 * What `docker stats` shows. Nobody measures simulated programs: the numbers that there are are limits, and all
 * others are zero.
 */
export function statsOf(container: Container, nowMs: number): object {
  const { limits, resources } = container.task.spec.template as {
    limits?: { mem?: { value?: number } }
    resources?: readonly { name?: string; scalar?: { value?: number } }[]
  }
  const reserved = resources?.find(({ name }) => name === 'mem')?.scalar?.value
  const limit = Math.round((limits?.mem?.value ?? reserved ?? 0) * 1024 * 1024)
  const cpu = {
    cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
    system_cpu_usage: 0,
    online_cpus: 1,
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  }
  const read = new Date(nowMs).toISOString()
  return {
    name: `/${container.name}`,
    id: container.id,
    read,
    preread: read,
    pids_stats: { current: container.state === 'running' ? 1 : 0 },
    blkio_stats: { io_service_bytes_recursive: [] },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpu,
    precpu_stats: cpu,
    memory_stats: { usage: 0, limit, stats: {} },
    networks: {},
  }
}
