import { Redacted } from '@conclave/kernel'
import type { Secret } from '@conclave/model'
import type { Resolved, ResolvingTask, Resolver, WantedSecret } from './resolver.ts'

/**
 * What Mesos does without a resolver module: a value is its bytes, a reference is refused, and the
 * type does not count. Source: reference/mesos.md §12.
 */
export class ValueResolver implements Resolver {
  resolve(
    _task: ResolvingTask,
    wanted: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void {
    answer(wanted.map(({ secret }) => valueOf(secret)))
    return () => {}
  }
}

function valueOf(secret: Secret): Resolved {
  if (secret.reference !== undefined) {
    return { outcome: 'invalid', why: 'Default secret resolver cannot resolve references' }
  }
  const data = secret.value?.data
  if (data === undefined) return { outcome: 'invalid', why: 'Secret has no value' }
  // A copy: the spec keeps its own bytes, and whoever asked wipes these.
  const bytes = new Redacted(data.reveal().slice())
  return { outcome: 'value', bytes, path: 'inline', version: 1 }
}
