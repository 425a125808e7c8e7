import { describe, expect, test } from 'vitest'

import { Metrics } from './metrics.ts'

describe('metrics', () => {
  test('RT14: are told in the form that Prometheus reads', async () => {
    const metrics = new Metrics({ labels: { source: 'master-1' } })
    metrics.counter('reads_total', 'Secrets read.', ['outcome']).inc({ outcome: 'allowed' }, 2)
    metrics.gauge('agents', 'Agents connected.').set(3)
    metrics.durations('fsync_seconds', 'One fsync of the journal.').observe(0.0001)
    let term = 7
    metrics.watch('term', 'The current term.', () => term)
    term = 8

    const text = await metrics.text()

    expect(metrics.contentType).toContain('text/plain')
    expect(text).toContain('# HELP conclave_reads_total Secrets read.')
    expect(text).toContain('conclave_reads_total{outcome="allowed",source="master-1"} 2')
    expect(text).toContain('conclave_agents{source="master-1"} 3')
    expect(text).toContain('conclave_term{source="master-1"} 8')
    expect(text).toContain('le="0.0002",source="master-1"} 1')
  })

  test('RT14: two registries in one process do not meet', async () => {
    const first = new Metrics({ process: true })
    const second = new Metrics()
    second.gauge('agents', 'Agents connected.')

    expect(await first.text()).toContain('process_cpu_seconds_total')
    expect(await first.text()).not.toContain('conclave_agents')
    expect(await second.text()).not.toContain('process_cpu')
  })
})
