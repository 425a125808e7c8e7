import type { MasterApi } from '@conclave/actors'
import { Metrics } from '@conclave/runtime'

/** What is counted about one master. */
export class MasterMetrics {
  readonly registry: Metrics
  readonly answered: (face: string, method: string, status: number, seconds: number) => void

  constructor(master: MasterApi, masterId: string) {
    this.registry = new Metrics({ labels: { master: masterId }, process: true })
    const { registry } = this
    registry.watch('raft_is_leader', 'Whether this master leads: 0 or 1.', () =>
      master.status().role === 'leader' ? 1 : 0,
    )
    registry.watch('raft_term', 'The current term.', () => master.status().term)
    registry.watch(
      'raft_applied_index',
      'The last entry that was applied.',
      () => master.status().appliedIndex,
    )
    registry.watch(
      'raft_commit_index',
      'The last entry that was agreed on.',
      () => master.status().commitIndex,
    )
    registry.watch(
      'store_revision',
      'How often the replicated state has changed.',
      () => master.status().revision,
    )
    const requests = registry.durations('http_request_duration_seconds', 'Answered requests.', [
      'face',
      'method',
      'status',
    ])
    this.answered = (face, method, status, seconds) => {
      requests.observe({ face, method, status: `${Math.floor(status / 100)}xx` }, seconds)
    }
  }
}
