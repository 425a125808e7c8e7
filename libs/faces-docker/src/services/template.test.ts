import { describe, expect, test } from 'vitest'
import type { ContainerSpec, ServiceSpec } from './service-spec.ts'
import { templateOf } from './template.ts'

const template = (container: ContainerSpec, more: object = {}): Record<string, unknown> => {
  const spec: ServiceSpec = {
    Name: 'app',
    Labels: { tier: 'front' },
    TaskTemplate: { ContainerSpec: { Image: 'busybox', ...container }, ...more },
  }
  return templateOf(spec, 'service-id', [])
}

describe('DK9: what a task of a service is launched as', () => {
  test.each<[string, ContainerSpec, object]>([
    ['nothing', {}, {}],
    ['arguments', { Args: ['echo', 'hi'] }, { arguments: ['echo', 'hi'] }],
    ['an entry point', { Command: ['sh', '-c'] }, { value: 'sh', arguments: ['sh', '-c'] }],
    [
      'both',
      { Command: ['sh'], Args: ['-c', 'true'] },
      { value: 'sh', arguments: ['sh', '-c', 'true'] },
    ],
  ])('is what the image says, and %s that is given instead', (_what, given, command) => {
    expect(template(given)).toMatchObject({
      container: {
        type: 'MESOS',
        mesos: { image: { type: 'DOCKER', docker: { name: 'busybox' } } },
      },
    })
    expect(template(given)['command']).toEqual({
      shell: false,
      docker_arguments: true,
      user: 'root',
      ...command,
    })
  })

  test('has its variables, its user, its name and its terminal', () => {
    const { command, container } = template({
      Env: ['A=1', 'B=x=y', 'UNSET', '=odd'],
      User: '1000:1000',
      Hostname: 'host',
      TTY: true,
    })
    expect(command).toMatchObject({
      user: '1000:1000',
      environment: {
        variables: [
          { name: 'A', value: '1' },
          { name: 'B', value: 'x=y' },
        ],
      },
    })
    expect(container).toMatchObject({ hostname: 'host', tty_info: {} })
  })

  test('takes what is reserved, a little where nothing is, and is limited to no less', () => {
    expect(template({})['resources']).toEqual([
      { name: 'cpus', type: 'SCALAR', scalar: { value: 0.001 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 1 } },
    ])
    const Resources = {
      Reservations: { NanoCPUs: 500_000_000, MemoryBytes: 64 * 1024 * 1024 },
      Limits: { NanoCPUs: 250_000_000, MemoryBytes: 128 * 1024 * 1024 },
    }
    expect(template({}, { Resources })).toMatchObject({
      resources: [{ scalar: { value: 0.5 } }, { scalar: { value: 64 } }],
      limits: { cpus: { value: 0.5 }, mem: { value: 128 } },
    })
  })

  test('is looked at as Docker would, and has as long to end', () => {
    const Healthcheck = { Test: ['CMD-SHELL', 'test -e /well'], Interval: 2e9, Retries: 5 }
    expect(template({ Healthcheck, StopGracePeriod: 3e9 })).toMatchObject({
      health_check: {
        type: 'COMMAND',
        command: { shell: true, value: 'test -e /well' },
        delay_seconds: 0,
        interval_seconds: 2,
        timeout_seconds: 30,
        grace_period_seconds: 0,
        consecutive_failures: 5,
      },
      kill_policy: { grace_period: { nanoseconds: 3e9 } },
    })
    const program = template({ Healthcheck: { Test: ['CMD', 'test', '-e', '/well'] } })
    expect(program['health_check']).toMatchObject({
      command: { shell: false, value: 'test', arguments: ['test', '-e', '/well'] },
    })
    expect(template({ Healthcheck: { Test: ['NONE'] } })).not.toHaveProperty('health_check')
    expect(template({})).toMatchObject({ kill_policy: { grace_period: { nanoseconds: 10e9 } } })
  })

  test('knows its service, and its labels only where they are asked for', () => {
    const { labels, container } = template({ Labels: { a: 'b' } })
    expect(labels).toEqual({
      labels: [
        { key: 'a', value: 'b' },
        { key: 'com.docker.swarm.service.id', value: 'service-id' },
        { key: 'com.docker.swarm.service.name', value: 'app' },
      ],
    })
    expect(container).toMatchObject({ service: { id: 'service-id', name: 'app' } })
    expect((container as { service: object }).service).not.toHaveProperty('labels')
    expect(template({ Dir: '/srv', StopSignal: 'SIGQUIT' })['container']).toMatchObject({
      service: { workdir: '/srv', stop_signal: 'SIGQUIT' },
    })
    for (const text of ['{{.Service.Labels}}', '{{with .Service}}{{.Labels}}{{end}}']) {
      const asking = template({ Env: [`TIER=${text}`] })
      expect(asking['container']).toMatchObject({ service: { labels: { tier: 'front' } } })
    }
  })
})
