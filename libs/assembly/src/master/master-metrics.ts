import type { MasterApi } from '@conclave/actors'
import { Metrics } from '@conclave/runtime'
import type { IdentityKeeper } from '../join/identity-keeper.ts'

/** What is counted about one master. */
export class MasterMetrics {
  readonly registry: Metrics
  readonly answered: (face: string, method: string, status: number, seconds: number) => void

  constructor(
    master: MasterApi,
    masterId: string,
    certificate: Pick<IdentityKeeper, 'untilMs' | 'dueMs' | 'failures'>,
  ) {
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
    registry.watch(
      'certificate_until_seconds',
      "When this master's certificate ends, in seconds since 1970.",
      () => certificate.untilMs / 1000,
    )
    registry.watch(
      'certificate_renewal_due_seconds',
      'When its next certificate is asked for.',
      () => certificate.dueMs / 1000,
    )
    registry.watch(
      'certificate_renewal_failures',
      'How often in a row its next certificate could not be had.',
      () => certificate.failures,
    )
    const requests = registry.durations('http_request_duration_seconds', 'Answered requests.', [
      'face',
      'method',
      'status',
    ])
    // To find them by their labels, or by a text that is made for it, costs more than to count.
    const kept = new Map<string, Map<string, { observe(seconds: number): void }[]>>()
    this.answered = (face, method, status, seconds) => {
      const hundreds = Math.floor(status / 100)
      let counted = kept.get(face)?.get(method)?.[hundreds]
      if (counted === undefined) {
        counted = requests.labels({ face, method, status: `${hundreds}xx` })
        const ofFace = kept.get(face) ?? new Map<string, { observe(seconds: number): void }[]>()
        const ofMethod = ofFace.get(method) ?? []
        ofMethod[hundreds] = counted
        kept.set(face, ofFace.set(method, ofMethod))
      }
      counted.observe(seconds)
    }
  }
}
