import type { WorkloadSpec } from '@conclave/workloads'
import { taskSpecOf } from './workload-spec.ts'

/** By this label of a workload its running tasks get new contents of their secret files (ADR 0037). */
export const rotationLabel = 'conclave.rotate'

export const isRotatedInPlace = ({ labels }: WorkloadSpec): boolean =>
  labels[rotationLabel] === 'in-place'

/**
 * Whether tasks of `before` can become tasks of `after` while they run: it wants that, and they differ at most
 * in which secrets their files are of.
 */
export const canRotateTo = (before: WorkloadSpec, after: WorkloadSpec): boolean =>
  isRotatedInPlace(after) &&
  before.forceUpdate === after.forceUpdate &&
  textWithoutSecrets(before) === textWithoutSecrets(after)

/** The order of files is of no meaning, and random where the docker CLI wrote it. */
function textWithoutSecrets(spec: WorkloadSpec): string {
  const task = taskSpecOf(spec)
  const { volumes = [], ...container } = task.container ?? {}
  const files = volumes
    .map((volume) => {
      const { file, source } = volume
      if (file === undefined || source?.type !== 'SECRET') return JSON.stringify(volume)
      const { object_id: _id, template: _template, ...shape } = file
      return JSON.stringify({ ...volume, file: shape, source: undefined })
    })
    .toSorted()
  return JSON.stringify([{ ...task, container }, files])
}
